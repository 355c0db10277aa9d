"use strict";
// The page works without this file; with it, files can be dropped and their copying is shown.

const form = document.getElementById("desk");
const drop = document.getElementById("drop");
const inputs = {};
for (const name of ["bundle", "carriers", "trust"]) inputs[name] = document.getElementById(name);

/** Put `files` into a file input, as if they had been chosen there. */
function put(input, files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  input.files = transfer.files;
}

/** Sort what was dropped: the first .zip is the bundle, a .toml the trust file, the rest carriers. */
function sort(files) {
  const carriers = [...inputs.carriers.files];
  for (const file of files) {
    const name = file.name.toLowerCase();
    if (name.endsWith(".zip") && !inputs.bundle.files.length) put(inputs.bundle, [file]);
    else if (name.endsWith(".toml") && !inputs.trust.files.length) put(inputs.trust, [file]);
    else carriers.push(file);
  }
  put(inputs.carriers, carriers);
}

function tell(message, hint) {
  const [first, second] = document.querySelectorAll("#problem p");
  first.textContent = message;
  second.textContent = hint || "";
  document.getElementById("problem").hidden = !message;
}

function show(doing, done) {
  document.getElementById("progress").hidden = !doing;
  document.getElementById("doing").textContent = doing;
  const bar = document.getElementById("bar");
  if (done === null) bar.removeAttribute("value");
  else bar.value = done;
  for (const button of form.querySelectorAll("button")) button.disabled = Boolean(doing);
}

function answer(request) {
  show("", 0);
  let said = {};
  try { said = JSON.parse(request.responseText); } catch { /* no answer of ours: told below */ }
  if (request.status === 200 && said.location) window.location.assign(said.location);
  else tell(said.message || form.dataset.lost, said.hint);
}

function send() {
  const body = new FormData(form);
  const chosen = Object.values(inputs).flatMap((input) => [...input.files]);
  const size = chosen.reduce((sum, file) => sum + file.size, 0);
  if (size > Number(form.dataset.limit)) return tell(form.dataset.large, "");
  const request = new XMLHttpRequest();
  request.open("POST", form.action);
  request.setRequestHeader("Accept", "application/json");
  request.upload.onprogress = (event) => show(form.dataset.sending, event.loaded / event.total);
  request.upload.onload = () => show(form.dataset.checking, null);
  request.onload = () => answer(request);
  request.onerror = () => answer(request);
  tell("", "");
  show(form.dataset.sending, 0);
  request.send(body);
}

form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
form.addEventListener("reset", () => tell("", ""));

// Anywhere on the page: a file dropped beside the zone must not open in its place.
let inside = 0;
window.addEventListener("dragenter", () => { inside += 1; drop.classList.add("over"); });
window.addEventListener("dragleave", () => { inside -= 1; if (!inside) drop.classList.remove("over"); });
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => {
  event.preventDefault();
  inside = 0;
  drop.classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
  const folder = entries.some((entry) => entry?.isDirectory);
  tell(folder ? form.dataset.folder : "", "");
  if (!folder) sort(event.dataTransfer.files);
});
drop.hidden = false;
