// The expert and a policy side by side, on one clock; frames lie row by row in one image for each film.

function films() {
  const given = data.films;
  if (!given) return;
  const [width, height, columns] = given.size, button = find("#play"), slider = find("#moment");
  const runs = given.runs.map((film, i) => [film, i]).filter(([film]) => film);
  const first = runs.find(([, i]) => i === data.lead) ?? runs[0];
  const canvases = [...document.querySelectorAll("[data-film]")];
  const images = new Map();
  let run = first?.[1], playing = false, seen = false, frame = 0, before = 0;

  const filmOf = (canvas) => (canvas.dataset.film === "expert" ? given.expert : given.runs[run]);
  const frames = () => Math.max(...canvases.map((canvas) => filmOf(canvas)?.frames ?? 1));
  const image = (film) => {
    if (!images.has(film)) {
      const made = new Image();
      made.onload = () => { draw(); strip(); };
      made.src = film.source;
      images.set(film, made);
    }
    return images.get(film);
  };

  function cut(context, film, k, x, y, w, h) {
    const i = Math.min(k, film.frames - 1), source = image(film);
    if (!source.complete || !source.naturalWidth) return;
    context.drawImage(source, (i % columns) * width, Math.floor(i / columns) * height, width, height, x, y, w, h);
  }

  function draw() {
    for (const canvas of canvases) {
      const film = filmOf(canvas);
      if (film) cut(canvas.getContext("2d"), film, Math.floor(frame), 0, 0, width, height);
    }
    slider.value = Math.floor(frame);
    find("#clock").textContent = `step ${Math.min(Math.floor(frame), frames() - 1) * given.every}`;
    slider.setAttribute("aria-valuetext", find("#clock").textContent);
  }

  /** Six moments of each film, for paper. */
  function strip() {
    const sheet = find(".strip"), context = sheet.getContext("2d"), shown = canvases.map(filmOf).filter(Boolean);
    [sheet.width, sheet.height] = [6 * width, shown.length * height];
    shown.forEach((film, row) => d3.range(6).forEach((k) =>
      cut(context, film, Math.round((k / 5) * (frames() - 1)), k * width, row * height, width, height)));
  }

  function choose(index) {
    run = index;
    for (const canvas of canvases) {
      const film = filmOf(canvas), expert = canvas.dataset.film === "expert";
      if (!film) continue;
      [canvas.width, canvas.height] = [width, height];
      const name = expert ? "The expert" : `${data.runs[run].label}, seed ${data.runs[run].seeds[0]}`;
      const told = expert ? `a demonstrated episode, ${film.steps + 1} steps` : `return ${show(film.return)} in ${film.steps} steps`;
      find("figcaption", canvas.parentElement).textContent = `${name}: ${told}`;
      canvas.setAttribute("aria-label", `Animation. ${name}: ${told}`);
    }
    slider.max = frames() - 1;
    frame = 0;
    draw();
    strip();
  }

  function tick(time) {
    if (!playing) return;
    if (seen) frame += Math.min(0.25, (time - before) / 1000) * given.fps;
    if (frame > frames() + given.fps) frame = 0;  // the last frame stays for a second
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
  slider.addEventListener("input", () => { play(false); frame = Number(slider.value); draw(); });
  new IntersectionObserver(([entry]) => (seen = entry.isIntersecting)).observe(find("#films"));
  choose(run);
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
