// Curves over training: one figure for each entry of data.panels.

const DASHES = ["", "5 3", "1.5 3"];
const LINES = ["var(--run0)", "var(--run1)", "var(--run2)"];

/** The lines that a panel shows now: run, metric, look, and its traces as {x, middle, low, high}. */
function linesOf(panel) {
  const visible = data.runs.filter((run, i) => !state.hidden.has(i) && panel.lines.some(([name]) => run.series[name]));
  return visible.flatMap((run) =>
    panel.lines.flatMap(([name, label], k) => {
      const series = run.series[name];
      if (!series) return [];
      const x = panel.epochs ? run.iterations : run[state.axis];
      const alone = visible.length === 1 && panel.lines.length > 1;
      const look = { colour: alone ? LINES[k] : run.colour, dash: alone ? "" : DASHES[k] };
      const words = [visible.length > 1 && run.label, (panel.lines.length > 1 || visible.length === 1) && label];
      return [{ run, x, traces: tracesOf(run, series), name: words.filter(Boolean).join(", "), ...look }];
    })
  );
}

function tracesOf(run, series) {
  if (state.seeds === "band") return [{ ...series, name: run.seeds.length > 1 ? "interquartile mean" : `seed ${run.seeds[0]}` }];
  return run.seeds
    .map((seed, i) => ({ middle: series.seeds[i], name: `seed ${seed}`, seed }))
    .filter(({ seed }) => state.seeds === "each" || String(seed) === state.seeds);
}

function pointsOf(line, axis) {
  return line.traces.flatMap((trace) =>
    line.x.map((x, i) => {
      const y = trace.middle[i];
      const between = trace.low && y != null ? `\n95 %: ${show(trace.low[i])} … ${show(trace.high[i])}` : "";
      return { x, y, low: trace.low?.[i], high: trace.high?.[i], trace,
        title: `${line.name} · ${trace.name}\n${axis} ${show(x)}\n${show(y)}${between}` };
    })
  );
}

function drawPanel(box, panel, title) {
  const width = box.clientWidth, lines = linesOf(panel), marks = [], all = [];
  const axis = panel.epochs ? "rounds" : AXES[state.axis];
  for (const [y] of panel.levels) {
    marks.push(Plot.ruleY([y], { stroke: "currentColor", strokeOpacity: 0.45, strokeDasharray: "3 3" }));
  }
  for (const line of lines) {
    const points = pointsOf(line, axis.split(",")[0]), z = (d) => d.trace;
    all.push(...points);
    if (line.traces[0]?.low) {
      marks.push(Plot.areaY(points, { x: "x", y1: "low", y2: "high", fill: line.colour, fillOpacity: 0.16 }));
    }
    const many = line.traces.length > 1;
    marks.push(Plot.lineY(points, { x: "x", y: "y", z, stroke: line.colour, strokeDasharray: line.dash,
      strokeWidth: many ? 1.1 : 1.8, strokeOpacity: many ? 0.75 : 1 }));
  }
  marks.push(Plot.text(panel.levels, { y: (d) => d[0], text: (d) => d[1], frameAnchor: "right", textAnchor: "end", dy: -8,
    fill: "var(--soft)", stroke: "var(--page)", strokeWidth: 3 }));
  const defined = all.filter((d) => d.y != null);
  marks.push(Plot.dot(defined, Plot.pointer({ x: "x", y: "y", r: 4, fill: "currentColor" })));
  marks.push(Plot.tip(defined, Plot.pointer({ x: "x", y: "y", title: "title", fill: "var(--page)", stroke: "var(--strong-line)" })));
  box.replaceChildren(Plot.plot({
    width, height: Math.round(Math.max(210, Math.min(300, width * 0.58))), marginTop: 30, marginLeft: 52,
    marginRight: 12, marginBottom: 40,
    style: { fontSize: "12px", fontFamily: "inherit" },
    x: { label: axis, labelArrow: "none", labelAnchor: "center", tickFormat: "~s", ticks: Math.max(3, Math.floor(width / 90)) },
    y: { label: panel.unit, labelArrow: "none", grid: true, ticks: 5, nice: true },
    ariaLabel: `${title}. ${spoken(lines)}`, marks,
  }));
  find("svg", box).setAttribute("role", "img");
  return lines;
}

/** A sentence for those who do not see the figure. */
function spoken(lines) {
  const last = (values) => values.findLast((x) => x != null);
  const parts = lines.flatMap((line) => line.traces.map((t) => `${line.name} ${t.name}: ${show(t.middle[0])} at first, ${show(last(t.middle))} at last`));
  return parts.slice(0, 12).join("; ") || "Nothing is chosen.";
}

function drawLegend(list, lines) {
  const swatch = (line) => {
    const item = element("li");
    const look = `stroke:${line.colour};stroke-width:2.5;stroke-dasharray:${line.dash || "none"}`;
    item.innerHTML = `<svg width="24" height="8" aria-hidden="true"><path d="M0 4H24" style="${look}"/></svg>`;
    item.append(line.name);
    return item;
  };
  list.replaceChildren(...lines.map(swatch));
}

/** Draws every panel; returns the function that draws them again. */
function panels() {
  const redraws = [...document.querySelectorAll("[data-panel]")].map((figure) => {
    const panel = data.panels[figure.dataset.panel], box = find(".drawing", figure), title = find("h3", figure).textContent;
    const traces = () => linesOf(panel).flatMap((line) => line.traces.map((trace) => ({ line, trace })));
    const head = () => [panel.epochs ? "round" : "iteration", ...traces().map(({ line, trace }) => `${line.name}, ${trace.name}`)];
    const rows = () => {
      const columns = traces(), iterations = [...new Set(columns.flatMap(({ line }) => line.run.iterations))].sort((a, b) => a - b);
      return iterations.map((i) => [show(i), ...columns.map(({ line, trace }) => show(trace.middle[line.run.iterations.indexOf(i)]))]);
    };
    const refill = tableBehind(find("details", figure), head, rows);
    const draw = () => {
      drawLegend(find(".legend", figure), drawPanel(box, panel, title));
      refill();
    };
    whenWide(box, draw);
    return () => box.clientWidth && draw();
  });
  return () => redraws.forEach((draw) => draw());
}
