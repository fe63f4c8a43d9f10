// The expert and a policy side by side, on one clock that counts steps; the frames of a film lie row by row in one image.

function films() {
  const given = data.films;
  if (!given) return;
  const [width, height, columns] = given.size, button = find("#play"), slider = find("#moment");
  const runs = given.runs.map((film, i) => [film, i]).filter(([film]) => film);
  const first = runs.find(([, i]) => i === data.lead) ?? runs[0];
  const canvases = [...document.querySelectorAll("[data-film]")];
  const images = new Map();
  let run = first?.[1], playing = false, inView = false, step = 0, before = 0;

  const filmOf = (canvas) => (canvas.dataset.film === "expert" ? given.expert : given.runs[run]);
  const steps = () => Math.max(...canvases.map((canvas) => filmOf(canvas)?.steps ?? 0));
  const image = (film) => {
    if (!images.has(film)) {
      const made = new Image();
      made.onload = () => { draw(); strip(); };
      made.src = film.source;
      images.set(film, made);
    }
    return images.get(film);
  };

  function cut(context, film, step, x, y) {
    const i = Math.min(Math.floor(step / film.every), film.frames - 1), source = image(film);
    if (!source.complete || !source.naturalWidth) return;
    context.drawImage(source, (i % columns) * width, Math.floor(i / columns) * height, width, height, x, y, width, height);
  }

  function draw() {
    for (const canvas of canvases) {
      const film = filmOf(canvas);
      if (film) cut(canvas.getContext("2d"), film, step, 0, 0);
    }
    slider.value = Math.floor(step);
    find("#clock").textContent = `step ${Math.min(Math.floor(step), steps())}`;
    slider.setAttribute("aria-valuetext", find("#clock").textContent);
  }

  /** Six moments of each film, for paper. */
  function strip() {
    const sheet = find(".strip"), context = sheet.getContext("2d"), drawn = canvases.map(filmOf).filter(Boolean);
    [sheet.width, sheet.height] = [6 * width, drawn.length * height];
    drawn.forEach((film, row) => d3.range(6).forEach((k) =>
      cut(context, film, (k / 5) * steps(), k * width, row * height)));
  }

  function choose(index) {
    run = index;
    for (const canvas of canvases) {
      const film = filmOf(canvas), expert = canvas.dataset.film === "expert";
      if (!film) continue;
      [canvas.width, canvas.height] = [width, height];
      const name = expert ? "The expert" : `${data.runs[run].label}, seed ${data.runs[run].seeds[0]}`;
      const outcome = expert ? `a demonstrated episode, ${film.steps + 1} steps` : `return ${show(film.return)} in ${film.steps} steps`;
      find("figcaption", canvas.parentElement).textContent = `${name}: ${outcome}`;
      canvas.setAttribute("aria-label", `Animation. ${name}: ${outcome}`);
    }
    slider.max = steps();
    step = 0;
    draw();
    strip();
  }

  function tick(time) {
    if (!playing) return;
    if (inView) step += Math.min(0.25, (time - before) / 1000) * given.fps;
    if (step > steps() + given.fps) step = 0;  // the last frame stays for a second
    before = time;
    draw();
    requestAnimationFrame(tick);
  }

  function play(on) {
    playing = on;
    button.textContent = on ? "Pause" : "Play";
    before = performance.now();
    if (on) requestAnimationFrame(tick);
  }

  if (runs.length > 1) {
    const options = runs.map(([, i]) => [String(i), data.runs[i].label]);
    find("#film-choice").append(choice("Policy", options, String(run), (value) => choose(Number(value))));
  }
  button.addEventListener("click", () => play(!playing));
  slider.addEventListener("input", () => { play(false); step = Number(slider.value); draw(); });
  new IntersectionObserver(([entry]) => (inView = entry.isIntersecting)).observe(find("#films"));
  choose(run);
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
