// The theme that was chosen in the admin, else that of the system, for a page without the admin around it.
"use strict";

const chosen = JSON.parse(localStorage.getItem("adminTheme") ?? '"auto"');
const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.classList.toggle("dark", dark);
