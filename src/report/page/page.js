// The page's own code, in the browser. All text from the model goes in as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "style")
        for (const [name, v] of Object.entries(value)) element.style.setProperty(name, v);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };
  const short = (n) =>
    n >= 1e9
      ? `${(n / 1e9).toFixed(2)} G`
      : n >= 1e6
        ? `${(n / 1e6).toFixed(1)} M`
        : n >= 1e3
          ? `${(n / 1e3).toFixed(1)} k`
          : String(n);
  const digits = (v) => String(+v.toPrecision(3));
  const steps = data.steps;
  const total = steps.reduce((sum, s) => sum + s.ms, 0);
  const sum = (key) => steps.reduce((all, s) => all + s[key], 0);

  // Light and dark: the system's choice, until the button is pressed.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const setTheme = (on) => {
    document.documentElement.dataset.theme = on ? "dark" : "light";
  };
  setTheme(dark.matches);
  dark.addEventListener("change", () => setTheme(dark.matches));

  $("title").textContent = data.title;
  $("subtitle").textContent =
    `${data.inputs.map((i) => `${i.name} (${i.shape.join(", ")})`).join("; ")} · ${total.toFixed(2)} ms · ${short(sum("parameters"))} parameters · ${short(sum("macs"))} multiply-adds · ${steps.length} steps on ${data.backend}, ${data.isa}`;

  // The photo, and a box on it.
  const canvas = document.querySelector("#photo canvas");
  canvas.width = data.photo.width;
  canvas.height = data.photo.height;
  const context = canvas.getContext("2d");
  const photo = new Image();
  const drawPhoto = (box) => {
    context.globalAlpha = 1;
    context.drawImage(photo, 0, 0);
    if (!box) return;
    const [x, y, w, h] = [box.left, box.top, box.right - box.left + 1, box.bottom - box.top + 1];
    context.fillStyle = "rgba(0, 0, 0, 0.55)";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(photo, x, y, w, h, x, y, w, h);
    context.strokeStyle = "#ffb800";
    context.lineWidth = Math.max(1.5, canvas.width / 150);
    context.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
  };
  photo.onload = () => drawPhoto();
  photo.src = `data:image/png;base64,${data.photo.png}`;

  const classes = $("classes");
  for (const { label, score } of data.classes) {
    const part = `${Math.max(0, Math.min(1, score / Math.max(1, data.classes[0].score))) * 100}%`;
    classes.append(
      make(
        "div",
        { class: "class", style: { "--part": part } },
        make("span", {}, label),
        make("span", {}, score.toFixed(4)),
      ),
    );
  }
  if (data.classes.length === 0) {
    for (const { name, shape, min, max, broken } of data.outputs) {
      const note = broken > 0 ? `, ${broken} numbers not finite` : "";
      classes.append(
        make("p", {}, `${name} (${shape.join(", ")}): ${digits(min)} to ${digits(max)}${note}`),
      );
    }
  }

  // Lanes: a line for each result that somebody further down still reads.
  const lastRead = new Map();
  steps.forEach((step, i) => {
    for (const name of step.reads) lastRead.set(name, i);
  });
  const lanes = [];
  const rows = steps.map((step, i) => {
    const before = lanes.map((name) => name);
    for (let k = 0; k < lanes.length; k++)
      if (lanes[k] !== undefined && lastRead.get(lanes[k]) <= i) lanes[k] = undefined;
    const from = step.reads.map((name) => before.indexOf(name)).filter((k) => k >= 0);
    let own = from.find((k) => lanes[k] === undefined);
    if (own === undefined) own = lanes.indexOf(undefined);
    if (own < 0) own = lanes.length;
    for (const name of step.makes) if (lastRead.has(name)) lanes[own] = name;
    return { before, after: lanes.map((name) => name), from, own };
  });
  const width =
    Math.min(
      10,
      Math.max(1, ...rows.map((r) => Math.max(r.before.length, r.after.length, r.own + 1))),
    ) *
      12 +
    4;
  const laneOf = (k) => Math.min(9, k) * 12 + 8;
  const svg = (row) => {
    const ns = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(ns, "svg");
    picture.setAttribute("width", width);
    picture.setAttribute("aria-hidden", "true");
    const line = (d) => {
      const path = document.createElementNS(ns, "path");
      path.setAttribute("d", d);
      path.setAttribute("fill", "none");
      path.setAttribute("stroke", "currentColor");
      path.setAttribute("stroke-opacity", "0.45");
      path.setAttribute("stroke-width", "1.5");
      picture.append(path);
    };
    row.before.forEach((name, k) => {
      if (name === undefined) return;
      if (row.from.includes(k))
        line(`M${laneOf(k)} 0 C${laneOf(k)} 12 ${laneOf(row.own)} 5 ${laneOf(row.own)} 17`);
      if (row.after[k] === name) line(`M${laneOf(k)} 0 V35`);
    });
    if (row.after[row.own] !== undefined) line(`M${laneOf(row.own)} 17 V35`);
    const dot = document.createElementNS(ns, "circle");
    dot.setAttribute("cx", laneOf(row.own));
    dot.setAttribute("cy", 17);
    dot.setAttribute("r", 4);
    dot.setAttribute("fill", "var(--accent)");
    picture.append(dot);
    return picture;
  };

  const list = $("layers");
  document.documentElement.style.setProperty("--lanes", `${width}px`);
  list.append(
    make(
      "div",
      { class: "row head", "aria-hidden": "true" },
      ...["", "layer", "shape", "mult-adds", "sees", "ms"].map((text, i) =>
        make("span", i > 2 ? { class: "num" } : {}, text),
      ),
    ),
  );
  const slowest = Math.max(...steps.map((s) => s.ms));
  const elements = steps.map((step, i) => {
    const sees = step.field
      ? step.field[0].size === "whole"
        ? "all"
        : `${step.field[0].size}`
      : "";
    const row = make(
      "div",
      { class: "row", role: "option", id: `row${i}`, "aria-selected": "false" },
      svg(rows[i]),
      make("span", { class: "name", title: step.name }, make("bdi", {}, step.name), ""),
      make(
        "span",
        { class: "op num" },
        (step.shape[0] === 1 ? step.shape.slice(1) : step.shape).join("×"),
      ),
      make("span", { class: "num" }, step.macs ? short(step.macs) : ""),
      make("span", { class: "num" }, sees),
      make(
        "span",
        { class: "num time", style: { "--part": `${(100 * step.ms) / slowest}%` } },
        step.ms.toFixed(3),
      ),
    );
    row.setAttribute(
      "aria-label",
      `${step.name}, ${step.op}, ${step.shape.join(" by ")}, ${step.ms.toFixed(3)} milliseconds`,
    );
    row.addEventListener("click", () => choose(i));
    list.append(row);
    return row;
  });

  // A bar per bin; uPlot draws it.
  const histogram = (title, bins) => {
    const box = make("div", {}, make("h4", {}, title));
    if (!bins || bins.broken) {
      box.append(
        make("p", { class: "note" }, bins ? `${bins.broken} numbers are not finite` : "none"),
      );
      return box;
    }
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--soft");
    const fill = getComputedStyle(document.documentElement).getPropertyValue("--accent");
    const holder = make("div");
    box.append(holder);
    const axis = {
      stroke: ink,
      grid: { show: false },
      ticks: { show: false },
      font: "11px system-ui",
    };
    const middles = bins.limits.map(
      (limit, i) => (limit + (i > 0 ? bins.limits[i - 1] : bins.min)) / 2,
    );
    requestAnimationFrame(() => {
      new uPlot(
        {
          width: Math.max(240, box.clientWidth - 8),
          height: 110,
          cursor: { show: false },
          scales: { x: { time: false } },
          axes: [axis, { ...axis, size: 46, values: (_, ticks) => ticks.map(short) }],
          series: [
            {},
            {
              fill,
              stroke: fill,
              width: 0,
              points: { show: false },
              paths: uPlot.paths.bars({ size: [1, 40] }),
            },
          ],
        },
        [middles, bins.counts],
        holder,
      );
    });
    box.append(make("p", { class: "note" }, `${digits(bins.min)} to ${digits(bins.max)}`));
    return box;
  };

  // Blue below zero, white at it, red above: bytes 0 .. 255 stand for -scale .. scale.
  const colour = (byte) => {
    const v = (byte - 127.5) / 127.5;
    const fade = (end) => 255 + (end - 255) * Math.abs(v);
    return v < 0 ? [fade(33), fade(102), fade(172)] : [fade(178), fade(24), fade(43)];
  };

  const showMaps = (step, where) => {
    const m = step.maps;
    const picture = new Image();
    picture.onload = () => {
      const all = document.createElement("canvas");
      all.width = m.columns;
      all.height = m.rows * m.shown;
      const reader = all.getContext("2d", { willReadFrequently: true });
      reader.drawImage(picture, 0, 0);
      const bytes = reader.getImageData(0, 0, all.width, all.height).data;
      for (let c = 0; c < m.shown; c++) {
        const cell = make("canvas", {
          tabindex: "0",
          role: "img",
          "aria-label": `feature map ${c} of ${step.name}; arrow keys move`,
        });
        cell.width = m.columns;
        cell.height = m.rows;
        const drawer = cell.getContext("2d");
        const draw = (unit) => {
          const pixels = drawer.createImageData(m.columns, m.rows);
          for (let i = 0; i < m.rows * m.columns; i++)
            pixels.data.set([...colour(bytes[(c * m.rows * m.columns + i) * 4]), 255], i * 4);
          drawer.putImageData(pixels, 0, 0);
          if (!unit) return;
          drawer.fillStyle = "#ffb800";
          drawer.fillRect(unit.x, unit.y, 1, 1);
        };
        draw();
        let at = { y: m.rows >> 1, x: m.columns >> 1 };
        const point = (y, x) => {
          at = {
            y: Math.max(0, Math.min(m.rows - 1, y)),
            x: Math.max(0, Math.min(m.columns - 1, x)),
          };
          const value =
            ((bytes[((c * m.rows + at.y) * m.columns + at.x) * 4] - 127.5) / 127.5) * m.scale;
          const [rowsSeen, columnsSeen] = [m.rowBoxes[at.y], m.columnBoxes[at.x]];
          const box =
            rowsSeen && columnsSeen
              ? {
                  top: rowsSeen[0],
                  bottom: rowsSeen[1],
                  left: columnsSeen[0],
                  right: columnsSeen[1],
                }
              : undefined;
          draw(at);
          drawPhoto(box);
          const sees = box
            ? `sees rows ${box.top} to ${box.bottom}, columns ${box.left} to ${box.right}`
            : "sees nothing of the picture";
          $("where").textContent =
            `${step.name}, map ${c}, unit ${at.y * m.step}, ${at.x * m.step} (about ${digits(value)}) ${sees}.`;
        };
        cell.addEventListener("mousemove", (event) => {
          const size = cell.getBoundingClientRect();
          point(
            Math.floor(((event.clientY - size.top) / size.height) * m.rows),
            Math.floor(((event.clientX - size.left) / size.width) * m.columns),
          );
        });
        const leave = () => {
          draw();
          drawPhoto();
        };
        cell.addEventListener("mouseleave", leave);
        cell.addEventListener("blur", leave);
        cell.addEventListener("focus", () => point(at.y, at.x));
        cell.addEventListener("keydown", (event) => {
          const move = {
            ArrowUp: [-1, 0],
            ArrowDown: [1, 0],
            ArrowLeft: [0, -1],
            ArrowRight: [0, 1],
          }[event.key];
          if (!move) return;
          event.preventDefault();
          event.stopPropagation();
          point(at.y + move[0], at.x + move[1]);
        });
        where.append(cell);
      }
    };
    picture.src = `data:image/png;base64,${m.png}`;
  };

  let chosen = -1;
  const choose = (i) => {
    if (i < 0 || i >= steps.length) return;
    if (chosen >= 0) elements[chosen].setAttribute("aria-selected", "false");
    chosen = i;
    elements[i].setAttribute("aria-selected", "true");
    elements[i].scrollIntoView({ block: "nearest" });
    list.setAttribute("aria-activedescendant", `row${i}`);
    const step = steps[i];
    const facts = [
      ["operation", step.op],
      ["result", `${step.shape.join(" × ")}`],
      ["from", step.reads.join(", ") || "nothing"],
      ["parameters", step.parameters ? step.parameters.toLocaleString("en") : "none"],
      ["multiply-adds", step.macs ? step.macs.toLocaleString("en") : "none"],
      ["time", `${step.ms.toFixed(3)} ms, ${((100 * step.ms) / total).toFixed(1)} % of the run`],
      ["algorithm", step.algorithm + (step.declined ? ` (${step.declined})` : "")],
    ];
    if (step.field)
      facts.push([
        "sees",
        step.field
          .map((f) =>
            f.size === "whole"
              ? "the whole image"
              : `${f.size} pixels, every ${+f.stride.toFixed(3)}`,
          )
          .filter((text, k, all) => k === 0 || text !== all[0])
          .join(" by "),
      ]);
    const detail = $("detail");
    detail.replaceChildren(
      make("h3", {}, step.name),
      make(
        "dl",
        {},
        ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
      ),
    );
    if (step.maps) {
      const maps = make("div", { class: "maps" });
      detail.append(
        make("h4", {}, "Feature maps"),
        maps,
        make(
          "p",
          { class: "note" },
          `${step.maps.shown} of ${step.maps.channels}. White is 0, red ${digits(step.maps.scale)}, blue ${digits(-step.maps.scale)}.`,
        ),
      );
      showMaps(step, maps);
    }
    if (step.kernels) {
      const image = make("img", { class: "kernels", alt: `kernels of ${step.name}` });
      image.src = `data:image/png;base64,${step.kernels.png}`;
      detail.append(
        make("h4", {}, "Kernels"),
        image,
        make("p", { class: "note" }, step.kernels.description),
      );
    }
    if (step.maps) detail.append(histogram("Activations", step.maps.bins));
    if (step.weights) detail.append(histogram("Weights", step.weights));
  };
  list.addEventListener("keydown", (event) => {
    const move = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -10,
      PageDown: 10,
      Home: -steps.length,
      End: steps.length,
    }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(steps.length - 1, chosen + move)));
  });
  $("theme").addEventListener("click", () => {
    setTheme(document.documentElement.dataset.theme !== "dark");
    choose(chosen);
  });
  // The first layer that can be looked at.
  choose(
    Math.max(
      0,
      steps.findIndex((s) => s.maps),
    ),
  );
})();
