// Small comforts; every page works without them.
document.addEventListener("keydown", (event) => {
  const field = document.getElementById("sought");
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    if (field) field.focus();
    else location.assign("/");
  }
});

// The local time, on hover.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const addLocalTimes = (root) => {
  for (const time of root.querySelectorAll("time")) time.title = local.format(new Date(time.dateTime));
};
addLocalTimes(document);
document.addEventListener("htmx:load", (event) => addLocalTimes(event.detail.elt));
