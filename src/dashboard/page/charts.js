// The charts of the last hour. uPlot is a global, loaded by a script of its own.
import { bytes, short, time } from './format.js';

const CHARTS = [
  {
    title: 'Messages per second',
    a: ['published', 'published'],
    b: ['delivered', 'delivered'],
    format: short,
  },
  {
    title: 'Bytes per second',
    a: ['publishedBytes', 'published'],
    b: ['deliveredBytes', 'delivered'],
    format: bytes,
  },
  { title: 'Publish to ack', a: ['ackP50', 'p50'], b: ['ackP99', 'p99'], format: time },
  { title: 'Publish to delivery', a: ['deliveryP50', 'p50'], b: ['deliveryP99', 'p99'], format: time },
  { title: 'Not acknowledged', a: ['inFlight', 'in flight'], b: ['maxLag', 'largest lag'], format: short },
  { title: 'Stored', a: ['bytes', 'bytes'], b: undefined, format: bytes },
];
const HEIGHT = 150;
const HOUR_SECONDS = 3600;
/** Steps of an axis of bytes: powers of two, which make round numbers of KiB and MiB. */
const BYTE_STEPS = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** Draws all charts into an element, and adds new samples. */
export class Charts {
  #history = { time: [] };
  #takeovers = [];
  #charts = [];
  #plots;
  /** The plots that the user has zoomed into. */
  #zoomed = new Set();

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#plots = element;
    for (const chart of CHARTS) this.#charts.push(this.#add(chart));
    new ResizeObserver(() => this.#resize()).observe(element);
    // CSS does not change colours that are drawn on a canvas.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redraw());
  }

  /** @param {Record<string, (number | null)[]>} history column by column */
  begin(history) {
    this.#history = history;
    this.redraw();
  }

  /** @param {Record<string, number | null>[]} points */
  add(points) {
    for (const point of points) this.#push(point);
    const oldest = points.at(-1).time - HOUR_SECONDS;
    while (this.#history.time.length > 1 && this.#history.time[0] < oldest)
      for (const column of Object.values(this.#history)) column.shift();
    this.redraw();
  }

  /** @param {Record<string, number | null>} point */
  #push(point) {
    for (const [name, column] of Object.entries(this.#history)) {
      column.push(point[name] ?? null);
      if (name !== 'time' && column.length > HOUR_SECONDS) column.shift();
    }
  }

  /** @param {number[]} times of takeovers, seconds since 1970 */
  mark(times) {
    this.#takeovers = times;
  }

  redraw() {
    for (const { plot, chart, caption } of this.#charts) {
      const columns = [chart.a, chart.b].filter(Boolean).map(([name]) => this.#history[name] ?? []);
      const data = [this.#history.time, ...columns];
      if (this.#zoomed.has(plot)) {
        // Setting the data alone would show the whole hour again.
        const { min, max } = plot.scales.x;
        plot.setData(data, false);
        plot.setScale('x', { min, max });
      } else plot.setData(data);
      columns.forEach((column, i) => {
        caption[i].textContent = chart.format(column.at(-1));
      });
    }
  }

  #add(chart) {
    const figure = document.createElement('figure');
    const text = document.createElement('figcaption');
    const title = document.createElement('b');
    title.textContent = chart.title;
    text.append(title);
    const caption = [chart.a, chart.b].filter(Boolean).map(([, label], i) => {
      const entry = document.createElement('span');
      const value = document.createElement('span');
      entry.className = i === 0 ? 'a' : 'b';
      entry.append(`${label} `, value);
      text.append(entry);
      return value;
    });
    const place = document.createElement('div');
    place.className = 'plot';
    place.setAttribute('role', 'img');
    place.setAttribute('aria-label', `${chart.title}, the last hour`);
    figure.append(text, place);
    this.#plots.append(figure);
    return { plot: this.#plot(chart, place), chart, caption, place };
  }

  #plot(chart, place) {
    const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    // `light-dark()` is resolved where a colour is used.
    const colour = (name) => {
      place.style.color = `var(${name})`;
      const resolved = getComputedStyle(place).color;
      place.style.color = '';
      return resolved || style(name);
    };
    const axis = {
      stroke: () => colour('--soft'),
      grid: { stroke: () => colour('--line'), width: 1 },
      ticks: { show: false },
    };
    const series = [chart.a, chart.b].filter(Boolean).map(([, label], i) => ({
      label,
      stroke: () => colour(i === 0 ? '--accent' : '--second'),
      width: 1.5,
      dash: i === 0 ? undefined : [5, 3],
      points: { show: false },
    }));
    const now = Date.now() / 1000;
    const plot = new uPlot(
      {
        width: Math.max(200, place.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false },
        scales: {
          x: {
            range: (_plot, min, max) => (min === null ? [now - 60, now] : [min, Math.max(max, min + 60)]),
          },
          y: { range: (_plot, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.1] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            values: (_plot, ticks, _axis, _space, step) => ticks.map((tick) => clock(tick, step)),
            space: 64,
          },
          {
            ...axis,
            size: 64,
            values: (_plot, ticks) => ticks.map((tick) => chart.format(tick)),
            ...(chart.format === bytes && { incrs: BYTE_STEPS }),
          },
        ],
        series: [{}, ...series],
        hooks: {
          drawClear: [(plot) => this.#drawTakeovers(plot, colour('--warn'))],
          setSelect: [(plot) => plot.select.width > 0 && this.#zoomed.add(plot)],
        },
      },
      [[], ...series.map(() => [])],
      place,
    );
    plot.over.addEventListener('dblclick', () => this.#zoomed.delete(plot));
    return plot;
  }

  #drawTakeovers(plot, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.setLineDash([]);
    ctx.lineWidth = devicePixelRatio;
    for (const at of this.#takeovers) {
      // The line is drawn in the middle of a pixel. Between two it would be two pixels wide, and pale.
      const x = Math.floor(plot.valToPos(at, 'x', true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  #resize() {
    for (const { plot, place } of this.#charts) {
      // The plot starts at a whole pixel: between two it would be blurred.
      place.style.marginLeft = '';
      const { left } = place.getBoundingClientRect();
      place.style.marginLeft = `${Math.ceil(left) - left}px`;
      const width = Math.max(200, place.clientWidth);
      if (width !== plot.width) plot.setSize({ width, height: HEIGHT });
    }
  }
}

/** @param {number} seconds since 1970 @param {number} step to the next tick */
function clock(seconds, step) {
  const date = new Date(seconds * 1000);
  const parts = [date.getHours(), date.getMinutes(), ...(step < 60 ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}
