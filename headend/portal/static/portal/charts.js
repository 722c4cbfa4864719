// Shows the value of a chart under the pointer or the keyboard's cursor. Dragging or Enter opens a window.
// The server draws the charts. The JSON in each plot has the values, and says where they are drawn.
(() => {
  "use strict";
  const SVG = "http://www.w3.org/2000/svg";
  const HINT =
    "Point at a chart or press an arrow key to read values. Drag, or press Enter at two values, to open their window.";
  const MIN_DRAG_PIXELS = 5;
  const LONG_STEPS = 10;

  // The user's selection by the id of the plot, because htmx replaces the charts of the overview.
  const selected = new Map();
  let dragging = false;

  const addShape = (svg, name, className) => {
    const shape = document.createElementNS(SVG, name);
    shape.setAttribute("class", className);
    svg.append(shape);
    return shape;
  };
  const place = (shape, attributes) => {
    shape.toggleAttribute("hidden", attributes === null);
    for (const [name, value] of Object.entries(attributes ?? {})) shape.setAttribute(name, value);
  };
  const number = (value) =>
    value.toLocaleString(
      "en",
      Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 },
    );

  class Plot {
    index = null;
    mark = null;
    pressed = null;

    constructor(element) {
      this.element = element;
      this.data = JSON.parse(element.querySelector("script").textContent);
      this.svg = element.querySelector("svg");
      this.selection = addShape(this.svg, "rect", "selection");
      this.cursor = addShape(this.svg, "line", "cursor");
      this.dots = (this.data.series ?? []).map((_, n) => addShape(this.svg, "circle", `dot curve-${n + 1}`));
      this.readout = document.createElement("p");
      this.readout.className = "readout";
      this.readout.setAttribute("role", "status");
      const { index = null, mark = null } = selected.get(element.id) ?? {};
      this.show(this.indexOf(index), this.indexOf(mark));
      element.before(this.readout);
      // Screen readers pass the arrow keys only to elements with the role application.
      element.setAttribute("role", "application");
      element.setAttribute("aria-roledescription", "chart");
      element.addEventListener("focus", () => {
        if (this.index === null) this.say(HINT);
      });
      element.addEventListener("keydown", (event) => this.onKey(event));
      element.addEventListener("pointerdown", (event) => this.onPress(event));
      element.addEventListener("pointermove", (event) => this.onMove(event));
      element.addEventListener("pointerup", () => this.onRelease());
      element.addEventListener("pointercancel", () => this.onLeave());
      element.addEventListener("pointerleave", () => this.onLeave());
    }

    // --- values and their places ---
    get last() {
      return this.data.times.length - 1;
    }

    timeOf(index) {
      return this.data.origin + this.data.times[index];
    }

    indexOf(time) {
      const index = time === null ? -1 : this.data.times.indexOf(time - this.data.origin);
      return index < 0 ? null : index;
    }

    xOf(index) {
      const { left, width, start, seconds, times, offset } = this.data;
      return left + width * Math.min(1, (times[index] + offset - start) / seconds);
    }

    yOf(value) {
      const { top, height, low, high } = this.data;
      return top + height * (1 - (value - low) / (high - low));
    }

    nearest(event) {
      const matrix = this.svg.getScreenCTM().inverse();
      const { x } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
      let [before, after] = [0, this.last];
      while (after - before > 1) {
        const middle = (before + after) >> 1;
        if (this.xOf(middle) <= x) before = middle;
        else after = middle;
      }
      return x - this.xOf(before) < this.xOf(after) - x ? before : after;
    }

    // The start and the end of the selection as text. It ends when the span of the later value ends.
    bounds() {
      const [first, last] = [this.mark, this.index].sort((a, b) => a - b);
      const { origin, start, seconds, span = 0 } = this.data;
      const end = Math.min(this.timeOf(last) + span, Math.max(this.timeOf(last), origin + start + seconds));
      return [this.timeOf(first), end].map((time) => new Date(time * 1000).toISOString().slice(0, 19).replace("T", " "));
    }

    // --- what the user sees and hears ---
    show(index, mark) {
      this.index = index;
      this.mark = mark;
      if (index === null) selected.delete(this.element.id);
      else selected.set(this.element.id, { index: this.timeOf(index), mark: mark === null ? null : this.timeOf(mark) });
      this.draw();
      this.say(index === null ? "" : mark === null ? this.describe() : this.describeWindow());
    }

    say(text) {
      this.readout.textContent = text;
    }

    describe() {
      const { series, texts, unit, notes } = this.data;
      if (texts) return texts[this.index];
      const time = new Date(this.timeOf(this.index) * 1000).toISOString().slice(0, 16).replace("T", " ");
      const values = series.map(({ name, values }) => {
        const value = values[this.index];
        return `${name} ${value === null ? "no value" : `${number(value)} ${unit}`}`.trim();
      });
      return `${time} UTC: ${[...values, notes[this.index] ?? []].flat().join(", ")}`;
    }

    describeWindow() {
      const [first, end] = this.bounds();
      if (first === end) return `From ${first} UTC. Move to another value, and press Enter. Escape cancels.`;
      return `From ${first} to ${end} UTC. ${dragging ? "Release" : "Press Enter"} to open this window. Escape cancels.`;
    }

    draw() {
      const { top, height } = this.data;
      const x = this.index === null ? null : this.xOf(this.index);
      place(this.cursor, x === null ? null : { x1: x, x2: x, y1: top, y2: top + height });
      this.dots.forEach((dot, n) => {
        const value = x === null ? null : this.data.series[n].values[this.index];
        place(dot, value === null ? null : { cx: x, cy: this.yOf(value), r: 4 });
      });
      const other = this.mark === null ? null : this.xOf(this.mark);
      const area = { x: Math.min(x, other), width: Math.max(1, Math.abs(x - other)), y: top, height };
      place(this.selection, other === null ? null : area);
    }

    openWindow() {
      const [start, end] = this.bounds();
      if (start === end) return;
      const url = new URL(this.element.dataset.windowUrl, location.href);
      url.searchParams.set("start", start);
      url.searchParams.set("end", end);
      location.assign(url);
    }

    // --- keyboard and pointer ---
    onKey(event) {
      if (event.ctrlKey || event.altKey || event.metaKey || this.last < 0) return;
      const { index, mark, last } = this;
      const move = (steps) => this.show(index === null ? last : Math.min(last, Math.max(0, index + steps)), mark);
      const actions = {
        ArrowLeft: () => move(-1),
        ArrowRight: () => move(1),
        PageUp: () => move(-LONG_STEPS),
        PageDown: () => move(LONG_STEPS),
        Home: () => this.show(0, mark),
        End: () => this.show(last, mark),
        Enter: () => index !== null && (mark === null ? this.show(index, index) : this.openWindow()),
        Escape: () => this.cancel(),
      };
      if (!Object.hasOwn(actions, event.key)) return;
      event.preventDefault();
      actions[event.key]();
      // A narrow screen shows only a part of the chart.
      this.cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
    }

    cancel() {
      dragging = false;
      this.pressed = null;
      this.show(this.mark === null ? null : this.index, null);
    }

    onPress(event) {
      // On a touch screen, dragging scrolls the page.
      if (this.last >= 0 && event.pointerType !== "touch" && event.button === 0) {
        this.pressed = { x: event.clientX, index: this.nearest(event) };
      }
      this.onMove(event);
    }

    onMove(event) {
      if (this.last < 0) return;
      if (this.pressed && !dragging && Math.abs(event.clientX - this.pressed.x) >= MIN_DRAG_PIXELS) {
        dragging = true;
        this.element.setPointerCapture(event.pointerId);
      }
      const index = this.nearest(event);
      const mark = this.pressed && dragging ? this.pressed.index : this.mark;
      if (index !== this.index || mark !== this.mark) this.show(index, mark);
    }

    onRelease() {
      const opens = this.pressed !== null && dragging;
      this.pressed = null;
      dragging = false;
      if (opens) this.openWindow();
    }

    onLeave() {
      if (dragging) return;
      this.pressed = null;
      if (document.activeElement !== this.element) this.show(null, null);
    }
  }

  const addPlots = (root) => {
    for (const element of root.querySelectorAll(".plot[role=group]")) new Plot(element);
  };
  document.addEventListener("DOMContentLoaded", () => {
    addPlots(document);
    document.querySelector(".readout")?.append(HINT);
  });
  document.addEventListener("htmx:afterSwap", (event) => addPlots(event.target));
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (dragging) event.detail.shouldSwap = false;
  });
})();
