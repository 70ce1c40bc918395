"use strict";
// Shows runs, episodes and comparisons by the address behind "#". All text is set as text, never as markup.
(async () => {
  const unpack = async (id) => {
    const text = document.getElementById(id).textContent;
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return JSON.parse(await new Response(stream).text());
  };
  const KEPT = 4; // blocks that stay unpacked
  const blocks = new Map();
  const block = async (number) => {
    const found = blocks.get(number) ?? (await unpack(`block-${number}`));
    blocks.delete(number);
    blocks.set(number, found);
    if (blocks.size > KEPT) blocks.delete(blocks.keys().next().value);
    return found;
  };
  const h = (name, attributes, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value === true) node.setAttribute(key, "");
      else if (value !== false && value != null) node.setAttribute(key, value);
    }
    node.append(...children.flat(Infinity).filter((child) => child != null && child !== false).map((child) =>
      child instanceof Node ? child : document.createTextNode(String(child))));
    return node;
  };
  const data = await unpack("index");
  const overview = document.getElementById("overview");
  const shown = document.getElementById("shown");
  const [TASK, TYPE, REPEAT, ENDING, WON, SCORE, STEPS, INVALID, TOKENS, SECONDS, BLOCK, PLACE] = Array(12).keys();
  const number = (value) => (Number.isInteger(value) ? value.toLocaleString("en") : value.toFixed(2));
  const taskOf = (row) => data.tasks[row[TASK]] + (row[REPEAT] ? ` (try ${row[REPEAT] + 1})` : "");
  const scroll = (label, table) => h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
  const heads = (...names) => h("thead", {}, h("tr", {}, names.map((name) =>
    h("th", { scope: "col", class: name.startsWith("#") ? "figure" : null }, name.replace("#", "")))));
  const verdict = (row) => h("span", { class: row[WON] ? "won" : "lost" }, row[WON] ? "✓ " : "✗ ", row[ENDING]);

  const episodeOf = async (row) => {
    if (row[BLOCK] < 0) return null;
    const [texts, episodes] = await block(row[BLOCK]);
    const [prompt, first, error, steps] = episodes[row[PLACE]];
    return { texts, prompt: texts[prompt], first: texts[first], error, steps };
  };
  const wordsOf = (episode) =>
    [episode.first, ...episode.steps.flatMap((step) => [...step[0].map((span) => span[1] + span[2]), episode.texts[step[1]]])]
      .join("\n").toLowerCase();
  const span = (kind, head, body) => h("span", { class: `span ${kind}` }, h("span", { class: "letter" }, kind), head, body);
  const counts = (tokens, labels) => {
    const kinds = labels ? Object.entries(labels).filter((one) => one[1]).map(([kind, count]) => `${kind} ${count}`).join(", ") : "";
    return tokens ? ` · ${tokens.toLocaleString("en")} tokens${kinds ? ` (${kinds})` : ""}` : "";
  };
  const stepNode = (episode, place, who, raw) => {
    const [spans, observation, fault, admissible, tokens, labels, action] = episode.steps[place];
    return h("div", { class: "step" },
      h("div", { class: "about" }, `${who}step ${place + 1}${counts(tokens, labels)}`, fault && h("span", { class: "flag" }, fault)),
      raw ? h("pre", {}, spans.map((one) => one[1] + one[2]).join("")) : spans.map((one) => span(...one)),
      span("O", "", episode.texts[observation].replace(/^\n+/, "")),
      admissible && h("details", { class: "aside" }, h("summary", {}, admissible.length === 1 ? "1 admissible action before this one" : `${admissible.length} admissible actions before this one`),
        h("ul", {}, admissible.map((one) => h("li", { class: one === action ? "chosen" : null }, episode.texts[one])))));
  };
  const beginning = (episode) => [
    episode.error && h("p", { class: "notice" }, episode.error),
    episode.prompt && h("details", { class: "aside" }, h("summary", {}, "prompt before the first observation"), span("N", "", episode.prompt)),
    h("div", { class: "step" }, h("div", { class: "about" }, "first observation"), span("O", "", episode.first.replace(/^\n+/, "")))];
  const known = (run, row) => {
    const text = data.known[run.group]?.[row[TASK]];
    return text ? h("p", { class: "known" }, h("b", {}, "What the world knows: "), text)
      : h("p", { class: "lead" }, "The gold answer of this task is not in this page.");
  };
  const figures = (row) => [verdict(row), ` · score ${number(row[SCORE])} · ${row[STEPS]} steps · ${row[INVALID]} invalid actions`,
    row[TOKENS] ? ` · ${row[TOKENS].toLocaleString("en")} tokens` : "", ` · ${number(row[SECONDS])} s`];
  const absent = () => h("p", { class: "notice" }, "This episode's text is not in the page, which would be too large: sad-play shows it.");
  const crumbs = (...links) => h("p", { class: "crumbs" }, h("a", { href: "#/" }, "all runs"),
    links.map(([text, to]) => [" › ", h("a", { href: to }, text)]));
  const title = (text) => h("h2", { tabindex: -1 }, text);

  const comparisonOf = (one, other) => {
    for (const group of data.comparisons) {
      const places = [group.runs.indexOf(one), group.runs.indexOf(other)];
      if (places.includes(-1)) continue;
      for (const [first, second, pair] of group.pairs) {
        if (first === Math.min(...places) && second === Math.max(...places)) return { group, pair, numbers: [group.runs[first], group.runs[second]] };
      }
    }
    return null;
  };
  const compareView = (one, other) => {
    const found = one === other ? null : comparisonOf(one, other);
    const names = [one, other].map((place) => data.runs[place].name);
    if (!found) return [crumbs(), title(`${names[0]} and ${names[1]}`), h("p", { class: "notice" }, "These two do not compare: choose two runs of one panel and kind of data.")];
    const { group, pair, numbers } = found;
    const [first, second] = numbers.map((place) => data.runs[place]);
    const [both, left, right, neither] = pair.counts;
    const table = h("table", {}, heads("metric", `#${first.name}`, `#${second.name}`, "#difference", "#95 % interval"),
      h("tbody", {}, pair.rows.map(([name, unit, ours, theirs, value, interval, apart]) => h("tr", { class: apart ? "apart" : null },
        h("th", { scope: "row" }, name, unit ? h("small", {}, ` ${unit}`) : null),
        [ours, theirs, value, interval].map((text) => h("td", { class: "figure" }, text))))));
    const compared = new Set(pair.rows.map((row) => row[0]));
    const scored = (run) => new Map(run.metrics.map((one) => [one[0], one]));
    const [ours, theirs] = [scored(first), scored(second)];
    const rest = [...ours.keys()].filter((name) => theirs.has(name) && !compared.has(name));
    const alone = rest.length > 0 && h("details", {}, h("summary", {}, "Further metrics, as each run was scored alone"),
      scroll("further metrics", h("table", {}, heads("metric", `#${first.name}`, "#95 % interval", `#${second.name}`, "#95 % interval"),
        h("tbody", {}, rest.map((name) => h("tr", {}, h("th", { scope: "row" }, name), [ours, theirs].flatMap((one) =>
          [1, 2].map((place) => h("td", { class: "figure" }, one.get(name)[place])))))))));
    const rows = new Map(second && data.runs[numbers[1]].rows.map((row, place) => [`${row[TASK]} ${row[REPEAT]}`, [row, place]]));
    const list = (sign, mine, theirs) => data.runs[numbers[0]].rows.map((row, place) => [row, place, rows.get(`${row[TASK]} ${row[REPEAT]}`)])
      .filter(([row, , twin]) => twin && row[WON] === mine && twin[0][WON] === theirs)
      .map(([row, place, twin]) => h("li", {}, h("a", { href: `#/pair/${numbers[0]}/${place}/${numbers[1]}/${twin[1]}` }, taskOf(row))));
    const section = (text, items) => items.length > 0 && h("details", {}, h("summary", {}, `${text}: ${items.length}`), h("ul", {}, items));
    return [crumbs(), title(`${first.name} and ${second.name}`),
      h("p", { class: "lead" }, `${first.world} · ${first.panel} · ${group.episodes.toLocaleString("en")} paired episodes`),
      h("p", {}, h("b", {}, pair.verdict), "."),
      h("p", {}, `Both solve ${both}, only the first ${left}, only the second ${right}, neither ${neither}. ${pair.test} p = ${pair.p}, ` +
        `adjusted for all pairs of this panel p = ${pair.adjusted}.`),
      group.remarks.map((remark) => h("p", { class: "note" }, remark)), scroll("comparison", table),
      h("p", { class: "lead" }, "Differences are second minus first; where the interval leaves out 0 the line is bold."), alone,
      h("h3", {}, "Two agents on one task"),
      section("only the first solves", list("-", 1, 0)), section("only the second solves", list("+", 0, 1)),
      section("both solve", list("=", 1, 1)), section("neither solves", list("0", 0, 0))];
  };

  const filtersOf = (run) => {
    const box = h("input", { type: "search", id: "episode-words", placeholder: "task; with Enter all texts" });
    const kind = h("select", { id: "episode-kind" }, ["all", "failed", "solved"].map((one) => h("option", {}, one)));
    const types = [...new Set(run.rows.map((row) => row[TYPE]).filter(Boolean))].sort();
    const type = h("select", { id: "episode-type" }, h("option", { value: "" }, "all types"), types.map((one) => h("option", {}, one)));
    return { box, kind, type, types };
  };
  const episodeTable = (index, run) => {
    const { box, kind, type, types } = filtersOf(run);
    const said = h("output", { for: "episode-words" });
    const body = h("tbody", {}, run.rows.map((row, place) => h("tr", {},
      h("th", { scope: "row" }, h("a", { href: `#/run/${index}/${place}` }, taskOf(row))), h("td", {}, verdict(row)), h("td", {}, row[TYPE]),
      [SCORE, STEPS, INVALID, TOKENS, SECONDS].map((column) => h("td", { class: "figure" }, column === TOKENS && !row[TOKENS] ? "–" : number(row[column]))))));
    const lines = [...body.rows]; // sorting moves them in the table
    let texts = null; // places of episodes whose text has the words
    const narrow = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      run.rows.forEach((row, place) => {
        const name = `${taskOf(row)} ${row[TYPE]} ${row[ENDING]}`.toLowerCase();
        const found = (texts ? texts.has(place) : words.every((word) => name.includes(word)))
          && (kind.value === "all" || (kind.value === "solved") === Boolean(row[WON])) && (!type.value || type.value === row[TYPE]);
        lines[place].hidden = !found;
        count += found ? 1 : 0;
      });
      said.textContent = `${count} of ${run.rows.length}${texts ? " by their texts" : ""}`;
    };
    const search = async () => {
      const needle = box.value.toLowerCase().trim();
      texts = null;
      if (needle) {
        const hits = new Set();
        for (const [place, row] of run.rows.entries()) {
          if (place % 100 === 0) said.textContent = `searching, ${place} of ${run.rows.length}`;
          const episode = await episodeOf(row);
          if (episode && wordsOf(episode).includes(needle)) hits.add(place);
        }
        texts = hits;
      }
      narrow();
    };
    box.addEventListener("input", () => { texts = null; narrow(); });
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") search(); });
    kind.addEventListener("change", narrow);
    type.addEventListener("change", narrow);
    narrow();
    return [h("div", { class: "bar-line" }, h("label", {}, "Find", box), h("label", {}, "Show", kind), types.length > 1 && h("label", {}, "Type", type), said),
      scroll("episodes", window.sortable(h("table", { id: "episodes" },
        heads("task", "ending", "type", "#score", "#steps", "#invalid", "#tokens", "#seconds"), body)))];
  };
  const runView = (index) => {
    const run = data.runs[index];
    const metrics = h("table", {}, heads("metric", "#value", "#95 % interval", "#n", "how"), h("tbody", {}, run.metrics.map((one) => h("tr", {},
      h("th", { scope: "row", title: one[5] }, one[0]), [1, 2, 3].map((place) => h("td", { class: "figure" }, one[place])), h("td", {}, h("small", {}, one[4]))))));
    const facts = h("table", { class: "facts" }, h("tbody", {}, run.facts.map(([label, fact]) => h("tr", {}, h("th", { scope: "row" }, label), h("td", { class: "mono" }, fact)))));
    return [crumbs(), title(`${run.agent} on ${run.world}`), h("p", { class: "lead" }, `${run.name} · ${run.panel} · begun ${run.created}`),
      run.remarks.map((remark) => h("p", { class: "note" }, remark)),
      h("details", {}, h("summary", {}, "All metrics"), scroll("metrics", metrics)),
      h("details", {}, h("summary", {}, "What was run"), scroll("what was run", facts)),
      h("h3", {}, "Episodes"), episodeTable(index, run)];
  };
  const rawSwitch = (draw) => {
    const tick = h("input", { type: "checkbox", id: "raw" });
    tick.addEventListener("change", () => draw(tick.checked));
    return h("label", {}, tick, "raw completions");
  };
  const others = (index, row) => {
    const found = data.runs.flatMap((run, place) => place === index || run.group !== data.runs[index].group ? []
      : run.rows.flatMap((twin, number_) => twin[TASK] === row[TASK] ? [[run, place, twin, number_]] : []));
    if (!found.length) return null;
    const choice = h("select", { id: "other" }, h("option", { value: "" }, "choose a run"),
      found.map(([run, place, twin, at]) => h("option", { value: `${place}/${at}` },
        `${twin[WON] ? "✓" : "✗"} ${run.name}${twin[REPEAT] ? ` (try ${twin[REPEAT] + 1})` : ""}`)));
    return h("label", {}, "Beside", choice);
  };
  const episodeView = async (index, place) => {
    const run = data.runs[index];
    const row = run.rows[place];
    const episode = await episodeOf(row);
    const steps = h("div", { class: "steps" });
    const draw = (raw) => steps.replaceChildren(...beginning(episode).filter(Boolean), ...episode.steps.map((_, at) => stepNode(episode, at, "", raw)));
    if (episode) draw(false);
    const beside = others(index, row);
    beside?.querySelector("select").addEventListener("change", (event) => { if (event.target.value) location.hash = `#/pair/${index}/${place}/${event.target.value}`; });
    const go = (to, text) => h("button", { type: "button", disabled: !run.rows[to], onclick: () => { location.hash = `#/run/${index}/${to}`; } }, text);
    return [crumbs([run.name, `#/run/${index}`]), title(taskOf(row)), h("p", {}, figures(row)), known(run, row),
      h("div", { class: "bar-line" }, go(place - 1, "‹ before"), go(place + 1, "next ›"), episode && rawSwitch(draw), beside), episode ? steps : absent()];
  };
  const pairView = async (left, first, right, second) => {
    const runs = [data.runs[left], data.runs[right]];
    const rows = [runs[0].rows[first], runs[1].rows[second]];
    const episodes = [await episodeOf(rows[0]), await episodeOf(rows[1])];
    const grid = h("div", { class: "two steps" });
    const side = (at) => (at ? "second" : "first");
    const draw = (raw) => {
      const cells = [0, 1].map((at) => h("div", { class: `who ${side(at)}` }, h("b", {}, runs[at].name), h("br"), figures(rows[at])));
      cells.push(...[0, 1].map((at) => h("div", { class: side(at) }, episodes[at] ? beginning(episodes[at]) : absent())));
      const longest = Math.max(...episodes.map((one) => one?.steps.length ?? 0));
      for (let step = 0; step < longest; step += 1) {
        cells.push(...[0, 1].map((at) => h("div", { class: side(at) }, step < (episodes[at]?.steps.length ?? 0) && stepNode(episodes[at], step, `${runs[at].agent} · `, raw))));
      }
      grid.replaceChildren(...cells);
    };
    draw(false);
    return [crumbs([runs[0].name, `#/run/${left}`], ["episode", `#/run/${left}/${first}`]), title(taskOf(rows[0])), known(runs[0], rows[0]),
      h("div", { class: "bar-line" }, rawSwitch(draw), h("a", { href: `#/compare/${left}/${right}` }, "compare the runs")), grid];
  };
  const isRow = (run, place) => data.runs[run]?.rows[place] !== undefined;
  const isTwin = (left, first, right, second) => isRow(left, first) && isRow(right, second)
    && data.runs[left].group === data.runs[right].group && data.runs[left].rows[first][TASK] === data.runs[right].rows[second][TASK];
  let turn = 0;
  const route = async () => {
    const mine = ++turn;
    const [page, ...words] = location.hash.replace(/^#\/?/, "").split("/");
    const places = words.map(Number);
    let nodes = null;
    if (page === "run" && places.length === 1 && data.runs[places[0]]) nodes = runView(places[0]);
    else if (page === "run" && places.length === 2 && isRow(...places)) nodes = await episodeView(...places);
    else if (page === "pair" && isTwin(...places)) nodes = await pairView(...places);
    else if (page === "compare" && data.runs[places[0]] && data.runs[places[1]]) nodes = compareView(...places);
    if (mine !== turn) return;
    overview.hidden = nodes !== null;
    document.body.dataset.place = location.hash; // what is shown, for programs that drive the page
    shown.replaceChildren(...(nodes ?? []).flat(3).filter(Boolean));
    if (nodes) {
      window.scrollTo(0, 0);
      shown.querySelector("h2").focus({ preventScroll: true });
    }
  };
  const chooser = document.getElementById("compare");
  if (chooser && data.comparisons.length) {
    const choice = (id, at) => h("select", { id }, data.comparisons.flatMap((group) => group.runs).map((place) =>
      h("option", { value: place }, `${data.runs[place].name} · ${data.runs[place].world}`)));
    const [one, other] = [choice("first-run"), choice("second-run")];
    other.selectedIndex = 1;
    chooser.append(h("label", { for: "first-run" }, "Compare"), one, h("label", { for: "second-run" }, "with"), other,
      h("button", { type: "button", class: "go", onclick: () => { location.hash = `#/compare/${one.value}/${other.value}`; } }, "show"));
    chooser.hidden = false;
  }
  window.addEventListener("hashchange", route);
  await route();
  document.body.dataset.ready = "yes";
})();
