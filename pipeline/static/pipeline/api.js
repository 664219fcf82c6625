// Shows the OpenAPI document. Requests go out with the browser's session: a token is asked for by nobody.
const place = document.getElementById("api");
window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.document,
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: ["get"],
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
});
