// What of a page lies outside it, is cut, or breaks within a number: a sentence for each. Runs in the page.
() => {
  const found = [];
  const told = (one) => `<${one.tagName.toLowerCase()} class="${String(one.className.baseVal ?? one.className).slice(0, 60)}"> ${one.textContent.trim().replace(/\s+/g, " ").slice(0, 60)}`;
  const style = (one) => getComputedStyle(one);
  const hides = (value) => value === "hidden" || value === "clip";
  const scrolls = (value) => value === "auto" || value === "scroll";
  const shown = (one) => one.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && style(one).clipPath === "none" && style(one).clip === "auto";
  const within = (one, holds) => { for (let up = one.parentElement; up; up = up.parentElement) if (holds(style(up))) return true; return false; };
  const width = document.documentElement.clientWidth;

  if (document.documentElement.scrollWidth > width + 1) found.push(`the page is ${document.documentElement.scrollWidth} wide`);
  for (const one of document.body.querySelectorAll("*")) {
    if (!shown(one) || within(one, (s) => s.clipPath !== "none" || s.clip !== "auto")) continue;
    const box = one.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const may = within(one, (s) => scrolls(s.overflowX) || hides(s.overflowX) || s.position === "fixed");
    if (!may && style(one).position !== "fixed" && (box.right > width + 1 || box.left < -1)) found.push(`outside: ${told(one)}`);
    const own = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
    if (!own || one.matches("select, option, textarea, input, .material-symbols-outlined")) continue;
    const cutAcross = hides(style(one).overflowX) && one.scrollWidth > one.clientWidth + 1;
    const cutDown = hides(style(one).overflowY) && one.scrollHeight > one.clientHeight + 2;
    const says = style(one).textOverflow === "ellipsis" && one.closest("[title]");
    if ((cutAcross && !says) || cutDown) found.push(`cut: ${told(one)}`);
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) {
      const frame = up.getBoundingClientRect();
      if (up.className.includes?.("simplebar")) continue; // as high as its content, a moment after a change of width
      if (scrolls(style(up).overflowX) || scrolls(style(up).overflowY)) break;
      if (hides(style(up).overflowY) && (box.bottom > frame.bottom + 2 || box.top < frame.top - 2) && frame.height) { found.push(`cut by ${told(up).slice(0, 60)}: ${told(one)}`); break; }
    }
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.parentElement || !shown(node.parentElement) || node.parentElement.closest("svg, textarea, script, style, pre")) continue;
    for (const number of node.textContent.matchAll(/(?<![\w-])[+-]?\d[\d,.]*\d(?![\w-])/g)) {
      const range = document.createRange();
      range.setStart(node, number.index);
      range.setEnd(node, number.index + number[0].length);
      const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      if (lines.size > 1) found.push(`the number ${number[0]} breaks: ${told(node.parentElement)}`);
    }
  }
  return [...new Set(found)];
}
