"use strict";
// What the figures share: the data, the part of it on display, and the controls that change that.

const data = JSON.parse(document.getElementById("data").textContent);
const state = { hidden: new Set(), seeds: "band", axis: "steps" };
const AXES = { steps: "environment steps", seconds: "seconds since the start, all seeds together", iterations: "iterations" };

const find = (query, root = document) => root.querySelector(query);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** About four digits; a dash for a missing number. */
const show = (x) => (x == null ? "–" : Number.isInteger(x) ? d3.format(",")(x) : d3.format(",.4~r")(x));

let choices = 0;

function choice(label, options, chosen, change) {
  const list = options.map(([value, text]) => element("option", { value, selected: value === chosen }, text));
  const select = element("select", { id: `choice${(choices += 1)}`, onchange: (event) => change(event.target.value) }, ...list);
  return element("span", { class: "choice" }, element("label", { for: select.id }, label), select);
}

/** Calls `draw` now and whenever the width of `box` changes. */
function whenWide(box, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (box.clientWidth && box.clientWidth !== width) draw((width = box.clientWidth));
  }).observe(box);
}

/** Fills a <details> with a table when it is first opened, and again after `refresh()`. */
function tableBehind(details, head, rows) {
  const fill = () => {
    find(".scroll", details)?.remove();
    if (!details.open) return;
    const cell = (tag, text, i) => element(tag, { class: i ? "number" : "" }, text);
    const body = rows().map((row) => element("tr", {}, ...row.map((text, i) => cell("td", text, i))));
    const top = element("thead", {}, element("tr", {}, ...head().map((text, i) => cell("th", text, i))));
    const table = element("table", {}, top, element("tbody", {}, ...body));
    details.append(element("div", { class: "scroll", tabindex: "0" }, table));
  };
  details.addEventListener("toggle", fill);
  return fill;
}

function themeButton() {
  const button = find("#theme"), root = document.documentElement;
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const now = () => root.dataset.theme ?? (dark() ? "dark" : "light");
  const name = () => (button.textContent = now() === "dark" ? "Light" : "Dark");
  try {
    const kept = localStorage.getItem("imitax-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* a page from disk may have no storage */ }
  button.hidden = false;
  button.setAttribute("aria-label", "Switch between light and dark colours");
  name();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  button.addEventListener("click", () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    try { localStorage.setItem("imitax-theme", root.dataset.theme); } catch { /* as above */ }
    name();
  });
}

function copyButtons() {
  for (const button of document.querySelectorAll(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const box = find("pre", button.parentElement);
      getSelection().selectAllChildren(box);  // without a clipboard, the text is at least selected
      try {
        await navigator.clipboard.writeText(box.textContent);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }
}

/** The controls above the curves: which runs, which seeds, over what. Left out where there is no choice. */
function bar(redraw) {
  const box = find("#bar");
  const set = (key) => (value) => { state[key] = value; redraw(); };
  if (data.runs.length > 1) {
    const boxes = data.runs.map((run, i) => {
      const change = (event) => { state.hidden[event.target.checked ? "delete" : "add"](i); redraw(); };
      const tick = element("input", { type: "checkbox", checked: true, style: `--colour:${run.colour}`, onchange: change });
      return element("label", {}, tick, run.label);
    });
    box.append(element("fieldset", { id: "runs" }, element("legend", {}, "Runs"), ...boxes));
  }
  const seeds = [...new Set(data.runs.flatMap((run) => run.seeds))].sort((a, b) => a - b);
  if (data.runs.some((run) => run.seeds.length > 1)) {
    const options = [["band", "interquartile mean, 95 % band"], ["each", "every seed"], ...seeds.map((s) => [String(s), `seed ${s}`])];
    box.append(choice("Seeds", options, "band", set("seeds")));
  }
  const loops = data.runs.filter((run) => run.steps);
  const axes = Object.keys(AXES).filter((axis) => loops.length && loops.every((run) => run[axis]));
  if (axes.length) {
    const names = { steps: "environment steps", seconds: "wall time", iterations: "iterations" };
    box.append(choice("Over", axes.map((axis) => [axis, names[axis]]), "steps", set("axis")));
  }
  box.hidden = !box.childElementCount;
}

addEventListener("beforeprint", () => find("#settings details").setAttribute("open", ""));
addEventListener("DOMContentLoaded", () => {
  themeButton();
  copyButtons();
  bar(panels());
  clouds();
  films();
});
