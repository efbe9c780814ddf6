// Shows the chart component of the package lightweight_charts_v5, and keeps the part of the chart in view when
// new bars arrive: the component builds its chart anew whenever its data changes, and forgets the zoom.
// React tells every commit to this hook if it is there before React is; the component's chart is in a ref.

const PACKAGE = "../lightweight_charts_v5.lightweight_charts_v5_component/";
const EDGE_BARS = 3; // free space right of the newest bar

// The component tells the page what is in view whenever it is drawn, and every such word is a run of the page's script. Nobody
// asks; and one that arrives after a click on another page makes Streamlit empty that page.
const page = window.parent;
window.parent = {
  postMessage: (message, target) => message.type === "streamlit:setComponentValue" || page.postMessage(message, target),
};

let shown = null; // the chart, what it shows (`view`), how many bars at first, all bars' times, the logical range in view

window.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
  supportsFiber: true,
  inject: () => 1,
  onCommitFiberRoot() {},
  onCommitFiberUnmount() {},
  onPostCommitFiberRoot(_renderer, root) {
    const found = findChart(root.current);
    if (found && found.chart !== shown?.chart) show(found);
  },
};

function findChart(fiber) {
  for (; fiber; fiber = fiber.sibling) {
    const args = fiber.memoizedProps?.args;
    for (let hook = args?.charts ? fiber.memoizedState : null; hook; hook = hook.next) {
      const chart = hook.memoizedState?.current;
      if (typeof chart?.timeScale === "function") {
        const times = args.charts[0].series[0].data.map((bar) => bar.time);
        return { chart, view: args.name, bars: args.zoom_level, times, height: args.height };
      }
    }
    const below = findChart(fiber.child);
    if (below) return below;
  }
  return null;
}

function show(next) {
  const scale = next.chart.timeScale();
  const before = shown;
  shown = next;
  if (before && before.height !== next.height) fit(next.height);
  remember(next, before?.view === next.view ? moved(before, next) : opened(next));
  scale.setVisibleLogicalRange(next.range);
  scale.setVisibleRange = () => {}; // the component does so after every resize, and would round the zoom to whole bars
  scale.subscribeVisibleLogicalRangeChange((range) => range && remember(next, range));
}

// The component tells the page its height when it is first shown, and never again: not when a pane comes or goes.
function fit(height) {
  window.parent.postMessage({ isStreamlitMessage: true, type: "streamlit:setFrameHeight", height }, "*");
}

function remember(chart, range) {
  chart.range = range;
  document.body.dataset.firstBar = range.from;
  document.body.dataset.lastBar = range.to;
}

function opened(next) {
  const count = next.times.length;
  return { from: Math.max(count - next.bars, 0) - 0.5, to: count - 1 + EDGE_BARS };
}

// The same bars, or the newest ones if the newest was in view.
function moved(before, next) {
  const last = before.times.length - 1;
  const followed = before.range.to >= last - 1 ? next.times.length - 1 : next.times.indexOf(before.times[last]);
  const shift = followed < 0 ? 0 : followed - last;
  return { from: before.range.from + shift, to: before.range.to + shift };
}

const source = await (await fetch(PACKAGE + "index.html")).text();
const bundle = new DOMParser().parseFromString(source, "text/html").querySelector("script[src]").getAttribute("src");
await import(new URL(PACKAGE + bundle, document.baseURI).href);
