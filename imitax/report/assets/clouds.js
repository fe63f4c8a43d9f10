// Where expert and policy go: two clouds of observations on axes of choice, over training.

function clouds() {
  const section = find("#occupancy"), given = data.occupancy;
  if (!section) return;
  const runs = given.runs.map((run, i) => [run, i]).filter(([run]) => run);
  const first = runs.find(([, i]) => i === data.lead) ?? runs[0];
  const now = { run: first[1], seed: 0, x: given.start[0], y: given.start[1], near: 0 };
  const slider = find("#training"), width = given.axes.length;
  const chosen = () => given.runs[now.run];

  const unpacked = new Map();  // text -> coordinates in units of their axes, one row for each point
  const points = (text) => {
    if (!unpacked.has(text)) {
      const packed = new Uint16Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
      const scale = (value, axis) => given.ranges[axis][0] + (value / 65535) * (given.ranges[axis][1] - given.ranges[axis][0]);
      const rows = d3.range(packed.length / width).map((i) => d3.range(width).map((k) => scale(packed[i * width + k], k)));
      unpacked.set(text, rows);
    }
    return unpacked.get(text);
  };

  /** The limits of an axis: of all observations in training, or around the expert. */
  function domain(axis, expert) {
    if (!now.near || !expert.length) return given.ranges[axis];
    const [low, high] = d3.extent(expert, (d) => d[axis]), margin = (high - low) / 2 || 1;
    return [low - margin, high + margin];
  }

  function draw(kind) {
    const figure = find(`[data-cloud="${kind}"]`), box = find(".drawing", figure), run = chosen();
    if (!box.clientWidth) return;
    const expert = run.expert ? points(run.expert) : [];
    const policy = points(run.policy[slider.value][Math.min(now.seed, run.seeds.length - 1)]);
    const cloud = kind === "expert" ? expert : policy;
    const name = kind === "expert" ? "Expert" : data.runs[now.run].label;
    const place = { x: (d) => d[now.x], y: (d) => d[now.y], clip: true };
    const ghost = kind === "policy" ? [Plot.dot(expert, { ...place, r: 1.8, fill: "var(--soft)", fillOpacity: 0.35 })] : [];
    const colour = kind === "expert" ? "currentColor" : data.runs[now.run].colour;
    find("h3", figure).textContent = `${name}${kind === "policy" ? `, ${when()}` : ""}`;
    figure.hidden = kind === "expert" && !expert.length;
    const axis = (i) => ({ label: given.axes[i], domain: domain(i, expert), labelArrow: "none", ticks: 5 });
    box.replaceChildren(Plot.plot({
      width: box.clientWidth, height: Math.round(Math.min(380, box.clientWidth * 0.78)), marginTop: 30, marginLeft: 46,
      marginBottom: 40, inset: 4,
      style: { fontSize: "12px", fontFamily: "inherit" },
      x: { ...axis(now.x), labelAnchor: "center" }, y: { ...axis(now.y), grid: true },
      ariaLabel: `${name}: ${cloud.length} observations, ${given.axes[now.y]} over ${given.axes[now.x]}. ${apart()}`,
      marks: [...ghost, Plot.dot(cloud, { ...place, r: 2, fill: colour, fillOpacity: 0.5,
        tip: { fill: "var(--page)", stroke: "var(--strong-line)" } })],
    }));
    find("svg", box).setAttribute("role", "img");
  }

  const steps = () => data.runs[now.run].steps;
  const when = (k = slider.value) => (steps() ? `iteration ${chosen().iterations[k]}` : "after cloning");
  const near = d3.format(".2~r");
  const gap = (k) => chosen().distances?.[k][Math.min(now.seed, chosen().seeds.length - 1)];
  function apart() {
    if (gap(slider.value) == null) return "";
    const before = chosen().iterations.length > 1 ? `; ${near(gap(0))} in ${when(0)}` : "";
    return `Mean distance from the expert's observations: ${near(gap(slider.value))} of their standard deviation${before}.`;
  }

  const head = () => ["moment", ...chosen().seeds.map((seed) => `distance, seed ${seed}`)];
  const rows = () => chosen().iterations.map((_, k) => [when(k), ...chosen().seeds.map((_, s) => show(chosen().distances?.[k][s]))]);
  const refill = tableBehind(find("#distances"), head, rows);

  function redraw(kinds = ["expert", "policy"]) {
    const last = chosen().iterations.length - 1;
    slider.max = last;
    slider.disabled = !last;
    find("#trained").textContent = when();
    slider.setAttribute("aria-valuetext", when());
    find("#distance").textContent = apart();
    kinds.forEach(draw);
    refill();
  }

  function controls() {
    const set = (key) => (value) => { now[key] = Number(value); redraw(); };
    const parts = [];
    const pick = (value) => { now.run = Number(value); now.seed = 0; slider.max = slider.value = 99; redraw(); controls(); };
    if (runs.length > 1) parts.push(choice("Policy", runs.map(([, i]) => [String(i), data.runs[i].label]), String(now.run), pick));
    const seeds = chosen().seeds.map((seed, i) => [String(i), `seed ${seed}`]);
    if (seeds.length > 1) parts.push(choice("Seed", seeds, String(now.seed), set("seed")));
    const axes = given.axes.map((label, i) => [String(i), label]);
    parts.push(choice("Across", axes, String(now.x), set("x")), choice("Up", axes, String(now.y), set("y")));
    const views = [["0", "all of training"], ["1", "around the expert"]];
    if (chosen().expert) parts.push(choice("View", views, String(now.near), set("near")));
    const focused = [...find("#cloud-choice").querySelectorAll("select")].indexOf(document.activeElement);
    find("#cloud-choice").replaceChildren(...parts);
    if (focused >= 0) find("#cloud-choice").querySelectorAll("select")[focused]?.focus();
  }

  slider.max = slider.value = chosen().iterations.length - 1;
  slider.addEventListener("input", () => redraw(["policy"]));
  controls();
  for (const kind of ["expert", "policy"]) whenWide(find(`[data-cloud="${kind}"] .drawing`), () => draw(kind));
  redraw();
}
