"use strict";
// Draws the messages of the stream and posts the player's acts; the game itself runs in the program.

const $ = (id) => document.getElementById(id);
const ARROWS = { left: "←", right: "→", up: "↑", down: "↓" };
const NAMES = {
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", " ": "space", Enter: "enter",
  Backspace: "backspace", Delete: "backspace", Escape: "escape", "=": "+", _: "-",
};
const CONTROLS = ["enter", "backspace", "escape", "p", "+", "-"];
const RETRY = 1000; // milliseconds

let page, part, stream; // this connection's name, the number of its next part, its stream
let greeted = false; // the program would drop posts sent before its greeting
let bound = new Set(); // keys and axes with a meaning in this environment
let phase = "";
let drawn = 0, acknowledged = 0, posting = false; // last message drawn, last one acknowledged, a post under way
const down = new Map(); // physical key -> our name for it, while it is held

// The stream

function connect() {
  page = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(16)).join("");
  part = drawn = acknowledged = 0;
  greeted = false;
  forget();
  stream = new EventSource(`events?page=${page}`);
  let before = Promise.resolve(); // one message after another: decoding a picture takes a moment
  stream.onmessage = (event) => {
    before = before.then(() => receive(JSON.parse(event.data))).catch(console.error);
  };
  stream.onerror = () => {
    stream.close();
    before.then(lost);
  };
}

function lost() {
  if (phase === "over") return;
  end("Connection lost", "All kept episodes are in the file. Is the program still running?");
  setTimeout(connect, RETRY);
}

async function receive(message) {
  if (message.hello) return greet(message.hello);
  if (message.replaced) {
    stream.close();
    return end("Played elsewhere", "Another tab has taken over. Reload this one to play here.");
  }
  if (message.picture) await draw(message.picture);
  show(message.view);
  drawn = message.number;
  acknowledge();
}

async function draw(picture) {
  const image = new Image();
  image.src = `data:image/webp;base64,${picture}`;
  await image.decode();
  const canvas = $("picture");
  if (canvas.width !== image.width || canvas.height !== image.height) {
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.style.setProperty("--ratio", image.width / image.height);
  }
  canvas.getContext("2d").drawImage(image, 0, 0);
}

// Display

function greet(hello) {
  greeted = true;
  document.title = `${hello.env}: recording`;
  $("env").textContent = hello.env;
  $("file").textContent = hello.file;
  $("picture").setAttribute("aria-label", `Picture of ${hello.env}`);
  bound = new Set([...hello.keys.flatMap((entry) => entry.keys), ...hello.axes.map((axis) => axis.name)]);
  $("pads").replaceChildren(...hello.keys.map(pad));
  $("axes").hidden = hello.axes.length === 0;
  $("axes").textContent = `Axes: ${hello.axes.map((a) => `${a.name} moves dimension ${a.dimension}`).join(", ")}.`;
}

function pad(entry) {
  const button = document.createElement("button");
  const key = document.createElement("kbd");
  const label = document.createElement("span");
  button.type = "button";
  button.dataset.keys = entry.keys.join(" ");
  key.textContent = entry.keys.map((name) => ARROWS[name] ?? name).join(" + ");
  label.textContent = entry.label;
  button.append(key, label);
  const press = (act) => entry.keys.map((name) => [act, name]);
  const lift = () => {
    if (button.classList.contains("held")) post(press("release"));
    button.classList.remove("held");
  };
  button.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    button.setPointerCapture(event.pointerId);
    button.classList.add("held");
    post(press("press"));
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(name, lift);
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  button.addEventListener("click", (event) => {
    if (event.detail === 0) post([...press("press"), ...press("release")]); // by the keyboard: one tap
  });
  return button;
}

function show(view) {
  const number = (value) => (Number.isInteger(value) ? `${value}` : value.toFixed(2));
  const total = number(view.total);
  $("total").textContent = total;
  $("steps").textContent = view.steps;
  $("episode").textContent = view.episode;
  $("action").textContent = view.action || "none";
  $("fps").textContent = `${view.fps} steps/s`;
  $("kept").textContent = view.kept === 0 ? "nothing kept yet" : `${view.kept} kept`;
  if ($("notice").textContent !== view.notice) $("notice").textContent = view.notice;
  $("pause").firstChild.textContent = view.phase === "paused" ? "Play " : "Pause ";
  $("pause").disabled = view.phase === "deciding";
  $("again").disabled = view.phase === "deciding" || view.steps === 0;
  const before = phase;
  phase = view.phase;
  if (phase === "deciding") {
    const how = view.ended === "terminated" ? "The task" : "The time limit";
    say(`Return ${total} in ${view.steps} steps`, `${how} ended the episode.`);
  } else if (phase === "paused") {
    say(view.steps ? "Paused" : `Episode ${view.episode}`, "Press P or one of the keys below to play.");
  } else if (phase === "over") {
    stream.close();
    end("Finished", view.kept ? `Kept in this session: ${view.kept}. You may close this page.` : "Nothing was kept.");
  }
  $("panel").hidden = phase === "playing";
  $("choices").hidden = phase !== "deciding";
  if (phase === before) return;
  if (phase === "deciding") $("keep").focus();
  else if (document.activeElement?.closest("#panel")) document.activeElement.blur();
}

function say(title, words) {
  // Only changes: a screen reader reads each assignment out.
  if ($("title").textContent !== title) $("title").textContent = title;
  if ($("words").textContent !== words) $("words").textContent = words;
}

function end(title, words) {
  say(title, words);
  $("panel").hidden = false;
  $("choices").hidden = true;
  $("notice").textContent = "";
  if (phase !== "over") phase = "";
}

// Input

const positions = new Map(); // axis -> position, as last posted
const moves = new Map(); // axis -> position to post with the next frame or key

function post(acts) {
  const all = [...Array.from(moves, ([axis, position]) => ["move", axis, position]), ...acts];
  moves.clear();
  if (greeted && all.length) send({ page, part: part++, acts: all }, 3);
}

// Forget all held keys and axis positions, as the program does.
function forget() {
  for (const map of [down, positions, moves]) map.clear();
  for (const button of $("pads").children) button.classList.remove("held");
}

// One acknowledgement at a time is enough.
async function acknowledge() {
  if (posting) return;
  posting = true;
  while (acknowledged < drawn) await send({ page, acknowledged: (acknowledged = drawn) }, 0);
  posting = false;
}

async function send(body, attempts) {
  try {
    await fetch("input", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch {
    if (attempts && body.page === page) setTimeout(() => send(body, attempts - 1), 200);
  }
}

function nameOf(event) {
  return NAMES[event.key] ?? event.key.toLowerCase();
}

document.addEventListener("keydown", (event) => {
  const name = nameOf(event);
  const control = CONTROLS.includes(name);
  if (event.ctrlKey || event.altKey || event.metaKey || !(control || bound.has(name))) return;
  // Enter activates the focused button: during a choice that is Keep, until the player moves the focus.
  if (name === "enter" && (phase !== "deciding" || document.activeElement?.tagName === "BUTTON")) return;
  event.preventDefault();
  if (event.repeat) return;
  if (control) return post([["press", name]]);
  down.set(event.code, name);
  mark(name, true);
  post([["press", name]]);
});

document.addEventListener("keyup", (event) => {
  const name = down.get(event.code);
  if (name === undefined) return;
  down.delete(event.code);
  mark(name, false);
  post([["release", name]]);
});

function mark(name, held) {
  for (const button of $("pads").children) {
    if (button.dataset.keys === name) button.classList.toggle("held", held);
  }
}

function away() {
  forget();
  if (phase !== "over") post([["release_all"]]);
}
window.addEventListener("blur", away);
document.addEventListener("visibilitychange", () => document.hidden && away());

for (const button of document.querySelectorAll("button[data-command]")) {
  button.addEventListener("click", () => post([["command", button.dataset.command]]));
}

// Axes: the mouse (or a finger) over the picture, and gamepads

function point(event) {
  if (!bound.has("mouse-x") && !bound.has("mouse-y")) return;
  const place = $("picture").getBoundingClientRect();
  const position = (at, start, extent) => Math.min(1, Math.max(-1, (2 * (at - start)) / extent - 1));
  move("mouse-x", position(event.clientX, place.left, place.width));
  move("mouse-y", position(event.clientY, place.top, place.height));
}
for (const name of ["pointermove", "pointerdown"]) $("stage").addEventListener(name, point);
for (const name of ["pointerleave", "pointercancel"]) {
  $("stage").addEventListener(name, () => ["mouse-x", "mouse-y"].forEach((axis) => move(axis, null)));
}

function move(axis, position) {
  if (!bound.has(axis) || positions.get(axis) === position) return;
  positions.set(axis, position);
  if (moves.size === 0) requestAnimationFrame(() => post([]));
  moves.set(axis, position);
}

const buttons = new Map(); // "button-0" -> whether it is down
function pollGamepads() {
  for (const gamepad of navigator.getGamepads()) {
    if (!gamepad) continue;
    gamepad.axes.forEach((value, index) => move(`gamepad-${index}`, Math.round(value * 100) / 100));
    gamepad.buttons.forEach((button, index) => {
      const name = `button-${index}`;
      if (bound.has(name) && button.pressed !== (buttons.get(name) ?? false)) {
        buttons.set(name, button.pressed);
        mark(name, button.pressed);
        post([[button.pressed ? "press" : "release", name]]);
      }
    });
  }
  requestAnimationFrame(pollGamepads);
}
window.addEventListener("gamepadconnected", pollGamepads, { once: true });

connect();
