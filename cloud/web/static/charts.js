// Draws an asset's signals. Gaps are shaded in their cause's colour and carry it as a word; what is bad is marked, never joined by a line.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const root = document.getElementById("charts");
  if (!root || !window.uPlot) return;
  const { gateway, asset } = root.dataset;
  const causeWords = JSON.parse(root.dataset.causes);
  const rangeS = Number(root.dataset.rangeS);
  const usualHoleS = Math.max(3 * Number(root.dataset.periodMs), 1500) / 1000;
  const live = rangeS <= 300;
  const pointsMax = 1500;
  const reloadS = live ? 1 : Math.min(60, rangeS / 200);
  // How much older than now the last point of a signal that goes on may be, beside a few polls.
  const raw = 1 + reloadS + rangeS / pointsMax;
  const slackS = { raw, minute: raw + 90, hour: raw + 5400 };
  const css = () => getComputedStyle(document.documentElement);
  const color = (name) => css().getPropertyValue(name).trim();
  const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const charts = [];

  // Of a gateway whose clock is somewhat ahead, its own now; else its newest readings would lie outside.
  function nowS() {
    const now = window.babbitt.now() / 1000;
    const newest = Math.max(...charts.map((chart) => chart.t[chart.t.length - 1] ?? 0));
    return newest > now && newest - now < 86400 ? newest : now;
  }

  // The asked span; of a young asset only what there is, so that its first minutes are not a sliver.
  function startS() {
    const begin = nowS() - rangeS;
    if (!live) return begin;
    const first = Math.min(...charts.map((chart) => chart.t[0] ?? Infinity));
    return Number.isFinite(first) ? Math.max(begin, Math.min(first, nowS() - 60)) : begin;
  }

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.plotAt = figure.querySelector(".plot");
      this.tag = figure.dataset.tag;
      this.isLife = figure.hasAttribute("data-life");
      this.decimals = this.isLife ? 0 : Number(figure.dataset.decimals);
      this.out = document.createElement("output");
      figure.querySelector("figcaption").append(this.out);
      this.clear();
      this.make();
    }

    clear() {
      this.t = []; this.v = []; this.low = []; this.high = []; this.gaps = [];
      this.holeS = usualHoleS;
      this.slackS = slackS.raw;
    }

    get data() {
      return [this.t, this.low, this.high, this.v];
    }

    make() {
      this.plot?.destroy();
      const ink = color("--steel"), muted = color("--muted"), grid = color("--grid");
      const axis = { stroke: muted, font: "11px system-ui, sans-serif", grid: { stroke: grid, width: 1 }, ticks: { show: false } };
      this.plot = new uPlot({
        width: Math.max(this.plotAt.clientWidth, 200),
        height: this.isLife ? 200 : 150,
        padding: [8, 28, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "asset" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { time: true, range: () => [startS(), nowS()] },
          y: { range: (_, min, max) => this.yRange(min, max) },
        },
        axes: [{ ...axis, size: 26, gap: 4, space: 70, values: (u, splits) => this.times(splits) }, { ...axis, size: 48, space: 30 }],
        series: [
          {},
          { stroke: "transparent", points: { show: false } },
          { stroke: "transparent", points: { show: false } },
          { stroke: this.isLife ? color("--ink") : ink, width: 1.6, points: { show: false }, spanGaps: false },
        ],
        bands: [{ series: [2, 1], fill: color("--band") }],
        hooks: {
          drawClear: [(u) => this.background(u)],
          draw: [(u) => this.marks(u)],
          setCursor: [(u) => this.say(u.cursor.idx)],
        },
      }, this.data, this.plotAt);
    }

    times(splits) {
      const form = rangeS > 86400 ? { month: "short", day: "numeric" } : rangeS > 3600 ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : null;
      const format = form ? new Intl.DateTimeFormat(undefined, form) : time;
      return splits.map((s) => format.format(s * 1000));
    }

    yRange(min, max) {
      if (this.isLife) return [0, Math.max(200, (max ?? 0) * 1.05)];
      if (min == null) return [0, 1];
      const room = Math.max((max - min) * 0.12, Math.abs(max) * 0.02, 1e-3);
      return [min >= 0 ? Math.max(0, min - room) : min - room, max + room];
    }

    // Zones of urgency under the remaining life, and gaps under everything.
    background(u) {
      const c = u.ctx, { left, top, width, height } = u.bbox;
      c.save();
      c.beginPath(); c.rect(left, top, width, height); c.clip();
      if (this.isLife) {
        for (const [low, high, name] of [[0, 48, "--critical-soft"], [48, 168, "--warning-soft"]]) {
          const y0 = u.valToPos(high, "y", true), y1 = u.valToPos(low, "y", true);
          c.fillStyle = color(name);
          c.fillRect(left, y0, width, y1 - y0);
        }
      }
      for (const gap of this.shownGaps()) this.shade(u, gap);
      c.restore();
    }

    shownGaps() {
      const last = this.t[this.t.length - 1];
      const open = last !== undefined && nowS() - last > this.holeS + this.slackS ? [{ from: last, to: nowS(), cause: "no data" }] : [];
      return [...this.gaps, ...open];
    }

    shade(u, gap) {
      const c = u.ctx, { top, height } = u.bbox, ratio = devicePixelRatio || 1;
      const x0 = u.valToPos(gap.from, "x", true), x1 = Math.max(u.valToPos(gap.to, "x", true), x0 + ratio);
      if (x1 < u.bbox.left) return;
      const own = color(`--cause-${gap.cause.replace(" ", "-")}`);
      c.fillStyle = own || color("--gap");
      c.globalAlpha = own ? (gap.cause === "thinned" ? 0.1 : 0.2) : 1;
      c.fillRect(x0, top, x1 - x0, height);
      c.globalAlpha = 1;
      if (own) c.fillRect(x0, top, x1 - x0, 3 * ratio);
      c.fillStyle = own || color("--muted");
      c.font = `${11 * ratio}px system-ui, sans-serif`;
      const wide = c.measureText(gap.cause).width;
      const from = Math.max(x0, u.bbox.left);
      c.textAlign = "center";
      if (x1 - from > wide + 8 * ratio) {
        c.textBaseline = "top";
        c.fillText(gap.cause, (from + x1) / 2, top + 6 * ratio);
      } else if (x1 - from > 11 * ratio && height > wide + 8 * ratio) {
        c.save();
        c.translate((from + x1) / 2, top + height / 2);
        c.rotate(-Math.PI / 2);
        c.textBaseline = "middle";
        c.fillText(gap.cause, 0, 0);
        c.restore();
      }
    }

    // A cross at the foot of every stretch that came bad, and the words of the two limits of life.
    marks(u) {
      const c = u.ctx, ratio = devicePixelRatio || 1, { left, top, width, height } = u.bbox;
      c.save();
      c.beginPath(); c.rect(left, top, width, height); c.clip();
      c.fillStyle = color("--critical");
      c.font = `bold ${11 * ratio}px system-ui, sans-serif`;
      c.textAlign = "center"; c.textBaseline = "bottom";
      for (const gap of this.gaps) {
        if (gap.cause === "bus" || gap.cause === "device" || gap.cause === "decode") {
          const x0 = u.valToPos(gap.from, "x", true), x1 = u.valToPos(gap.to, "x", true);
          for (let x = x0 + 4 * ratio; x <= Math.max(x1, x0 + 4 * ratio); x += 14 * ratio) c.fillText("✕", x, top + height - 2 * ratio);
        }
      }
      if (this.isLife) {
        c.font = `${11 * ratio}px system-ui, sans-serif`; c.fillStyle = color("--muted");
        c.textAlign = "left"; c.textBaseline = "bottom";
        for (const [hours, word] of [[48, "48 h"], [168, "168 h"]]) {
          c.fillText(word, left + 4 * ratio, u.valToPos(hours, "y", true) - 1 * ratio);
        }
      }
      c.restore();
    }

    say(index) {
      let at = index;
      if (at == null) {
        at = this.v.length - 1;
        while (at >= 0 && this.v[at] == null) at -= 1;
        this.out.textContent = at >= 0 ? this.number(at) : "";
        return;
      }
      // Between two points as well the pointer is on a gap or is not.
      const here = this.plot ? this.plot.posToVal(this.plot.cursor.left, "x") : this.t[at];
      const gap = this.shownGaps().find((g) => g.from < here && here < g.to);
      const why = gap ? causeWords[gap.cause] ?? gap.cause : "";
      const value = gap && gap.cause !== "thinned" ? why : [this.v[at] == null ? "–" : this.number(at), why].filter(Boolean).join(" · ");
      this.out.textContent = `${value} · ${time.format((gap ? here : this.t[at]) * 1000)}`;
    }

    number(at) {
      const show = (x) => x.toLocaleString(undefined, { minimumFractionDigits: this.decimals, maximumFractionDigits: this.decimals });
      if (this.isLife) return this.low[at] == null ? `${show(this.v[at])} h` : `${show(this.v[at])} h (${show(this.low[at])}–${show(this.high[at])})`;
      return `${show(this.v[at])} ${this.figure.dataset.unit}`.trim();
    }

    load(signal) {
      this.clear();
      this.slackS = slackS[signal.resolution];
      this.holeS = signal.silence_ms / 1000;
      this.t = signal.at_ms.map((ms) => ms / 1000);
      this.v = signal.value; this.low = signal.low; this.high = signal.high;
      this.gaps = signal.gaps.map((g) => ({ from: g.from_ms / 1000, to: g.to_ms / 1000, cause: g.cause }));
    }

    loadLife(verdicts) {
      this.clear();
      verdicts.at_ms.forEach((ms, i) => this.addLife({ t: ms, rul: verdicts.rul[i], low: verdicts.low[i], high: verdicts.high[i] }));
    }

    addLife(one) {
      const t = one.t / 1000, last = this.t[this.t.length - 1];
      if (last !== undefined && t <= last) return false;
      this.t.push(t); this.v.push(one.rul); this.low.push(one.low); this.high.push(one.high);
      return true;
    }

    // False where a point is older than what is drawn: then everything is asked for anew.
    add(found) {
      for (let i = 0; i < found.t.length; i += 1) {
        const t = found.t[i] / 1000, last = this.t[this.t.length - 1];
        if (last !== undefined && t <= last) return false;
        if (last !== undefined && t - last > this.holeS) {
          this.gaps.push({ from: last, to: t, cause: "no data" });
          this.t.push(last + 0.001); this.v.push(null); this.low.push(null); this.high.push(null);
        }
        const cause = found.cause[i];
        if (cause) {
          const gap = this.gaps[this.gaps.length - 1];
          if (gap && gap.cause === cause && t - gap.to < usualHoleS) gap.to = t;
          else this.gaps.push({ from: t, to: t + 0.2, cause });
        }
        this.t.push(t); this.v.push(found.v[i]); this.low.push(found.v[i]); this.high.push(found.v[i]);
      }
      return true;
    }

    trim() {
      const from = nowS() - rangeS - 5;
      let keep = this.t.findIndex((t) => t >= from);
      if (keep < 0) keep = this.t.length;
      if (keep > 60) for (const list of [this.t, this.v, this.low, this.high]) list.splice(0, keep);
      this.gaps = this.gaps.filter((g) => g.to >= from);
    }

    draw() {
      this.plot.setData(this.data);
      if (this.plot.cursor.idx == null || this.plot.cursor.left < 0) this.say(null);
    }
  }

  for (const figure of root.querySelectorAll("figure.chart")) charts.push(new Chart(figure));

  let loading = null, again = false, waiting = null;

  async function load() {
    if (loading) { again = true; return; }
    const query = new URLSearchParams({ gateway, asset, range_s: rangeS, points_max: pointsMax });
    for (const chart of charts) if (chart.tag) query.append("tag", chart.tag);
    loading = fetch(`/api/v1/series?${query}`);
    try {
      const answer = await loading;
      if (!answer.ok) return;
      const found = await answer.json();
      const byTag = new Map(found.signals.map((s) => [s.tag, s]));
      for (const chart of charts) {
        if (chart.isLife) chart.loadLife(found.verdicts); else chart.load(byTag.get(chart.tag));
      }
      schedule();
    } catch {
      // The page says that the connection is lost; the next load mends the charts.
    } finally {
      loading = null;
      if (again) { again = false; reloadSoon(); }
    }
  }

  function reloadSoon() {
    if (waiting === null) waiting = setTimeout(() => { waiting = null; load(); }, 500);
  }

  let scheduled = false;
  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      for (const chart of charts) { chart.trim(); chart.draw(); }
    });
  }

  window.babbitt.sinks.points = (found) => {
    if (!live) return;
    if (loading) { again = true; return; }
    if (found.reload) { reloadSoon(); return; }
    for (const chart of charts) {
      if (chart.isLife) {
        for (const one of found.verdicts) if (!chart.addLife(one)) reloadSoon();
      } else if (found.tags[chart.tag] && !chart.add(found.tags[chart.tag])) {
        reloadSoon();
      }
    }
    schedule();
  };

  new ResizeObserver(() => {
    for (const chart of charts) {
      const width = Math.max(chart.plotAt.clientWidth, 200);
      if (width !== chart.plot.width) chart.plot.setSize({ width, height: chart.plot.height });
    }
  }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { for (const chart of charts) chart.make(); });
  document.addEventListener("htmx:sseOpen", () => load());
  setInterval(() => (live ? schedule() : load()), reloadS * 1000);
  load();
});
