"use strict";
(() => {
const ROWS_PER_PAGE = 50;
const FOLDERS_OFFERED = 500;
const TAGS_OFFERED = 300;
const NO_TAG = "(no genre tag)";
const NOT_HEARD = 1; // from this status on
const START_STEPS = 65535;

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("columns").textContent);
const nRows = data.name.length;
const nGenres = data.genres.length;
const word = (column, row) => column.rows[row] < 0 ? "" : column.words[column.rows[row]];
const title = (row) => data.title[row] || data.name[row];
const folder = (row) => data.folders[data.folder[row]];

// What every folder's name begins with is left out of the table.
let root = data.folders.length ? data.folders[0] + "/" : "";
for (const name of data.folders) while (!(name + "/").startsWith(root)) root = root.slice(0, root.lastIndexOf("/", root.length - 2) + 1);
const shortFolders = data.folders.map((name) => (name + "/").slice(root.length).replace(/\/$/, "") || "·");

// Which rows disagree with their tag, and which have copies: as lookups.
const disagrees = new Uint8Array(nRows);
for (const row of data.disagrees) disagrees[row] = 1;
const copiesOf = new Map();
for (const group of data.copies) for (const row of group) copiesOf.set(row, group);

// Base64 is decoded only where it is needed: 3 bytes are 4 letters.
const decode = (id, from, length) => {
  const start = Math.floor(from / 3);
  const stop = Math.ceil((from + length) / 3);
  const text = atob($("blob-" + id).textContent.slice(4 * start, 4 * stop));
  const bytes = new Uint8Array(length);
  for (let n = 0; n < length; n++) bytes[n] = text.charCodeAt(n + from - 3 * start);
  return bytes;
};
let firstSlices = null; // of each row, counted on from all rows before it
const slicesOf = (row) => {
  if (!firstSlices) {
    const counts = decode("count", 0, nRows);
    firstSlices = new Uint32Array(nRows + 1);
    for (let n = 0; n < nRows; n++) firstSlices[n + 1] = firstSlices[n] + counts[n];
  }
  const first = firstSlices[row];
  const count = firstSlices[row + 1] - first;
  const shares = decode("slices", first * nGenres, count * nGenres);
  const starts = decode("starts", 2 * first, 2 * count);
  return Array.from({length: count}, (_, n) => ({
    seconds: (starts[2 * n] + 256 * starts[2 * n + 1]) / START_STEPS * data.seconds[row],
    shares: Array.from(shares.subarray(n * nGenres, (n + 1) * nGenres), (byte) => byte / 255),
  }));
};

// Search: each row's text in lower case without accents, made while nothing else is to be done.
const plain = (text) => {
  text = text.toLowerCase();
  return /^[\x00-\x7f]*$/.test(text) ? text : text.normalize("NFKD").replace(/\p{M}/gu, "");
};
const plainFolders = data.folders.map(plain);
const plainWords = Object.fromEntries(["artist", "album", "existing_genre", "reason"].map(
  (name) => [name, data[name].words.map(plain)]));
const haystack = [];
const fillHaystack = (stop) => {
  for (let row = haystack.length; row < stop; row++) {
    let text = plainFolders[data.folder[row]] + "/" + plain(data.name[row]);
    if (data.title[row]) text += "\n" + plain(data.title[row]);
    for (const name in plainWords) {
      const number = data[name].rows[row];
      if (number >= 0) text += "\n" + plainWords[name][number];
    }
    haystack.push(text);
  }
};
const fillInIdleTime = () => {
  fillHaystack(Math.min(nRows, haystack.length + 4000));
  if (haystack.length < nRows) setTimeout(fillInIdleTime, 0);
};

// Sorting: an order of all rows, kept until another is asked for.
const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});
const ranks = (texts) => {
  const order = texts.map((_, n) => n).sort((a, b) => collator.compare(texts[a], texts[b]));
  const rank = new Float64Array(texts.length);
  order.forEach((n, place) => { rank[n] = place; });
  return rank;
};
const wordRank = (column) => {
  const rank = ranks(column.words);
  return (row) => column.rows[row] < 0 ? Infinity : rank[column.rows[row]];
};
const rankers = {
  title: () => { const rank = ranks(data.name.map((_, row) => title(row))); return (row) => rank[row]; },
  artist: () => wordRank(data.artist),
  album: () => wordRank(data.album),
  existing: () => wordRank(data.existing_genre),
  genre: () => { const rank = ranks(data.genreNames); return (row) => data.genre[row] < 0 ? Infinity : rank[data.genre[row]]; },
  confidence: () => (row) => data.confidence[row] < 0 ? Infinity : data.confidence[row],
  seconds: () => (row) => data.seconds[row] || Infinity,
  folder: () => { const rank = ranks(data.folders); return (row) => rank[data.folder[row]]; },
};
const rankerCache = {};
let order = Uint32Array.from({length: nRows}, (_, n) => n);
let sorted = {key: "", down: false};
const sort = (key) => {
  sorted = {key, down: sorted.key === key && !sorted.down};
  const rank = rankerCache[key] = rankerCache[key] || rankers[key]();
  const values = Float64Array.from({length: nRows}, (_, row) => rank(row));
  const sign = sorted.down ? -1 : 1;
  // What has no value comes last either way.
  order = Uint32Array.from({length: nRows}, (_, n) => n).sort((a, b) => {
    if (values[a] === values[b]) return a - b;
    if (values[a] === Infinity) return 1;
    if (values[b] === Infinity) return -1;
    return sign * (values[a] - values[b]);
  });
  for (const head of document.querySelectorAll("#tracks-table th")) {
    if (head.dataset.key === key) head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  filter();
};

// Filtering: which rows of the order are shown.
const statusTests = {
  sure: (row) => data.sure[row] === "1",
  unsure: (row) => data.genre[row] >= 0 && data.sure[row] === "0",
  disagrees: (row) => disagrees[row] === 1,
  copy: (row) => copiesOf.has(row),
  problem: (row) => data.status[row] >= NOT_HEARD,
};
const tests = () => {
  const wanted = [];
  const genre = data.genres.indexOf($("genre").value);
  if (genre >= 0) wanted.push((row) => data.genre[row] === genre);
  if ($("low").value !== "") wanted.push((row) => data.confidence[row] >= 10 * $("low").value);
  if ($("high").value !== "") wanted.push((row) => data.confidence[row] >= 0 && data.confidence[row] <= 10 * $("high").value);
  if ($("folder").value) {
    const text = plain($("folder").value);
    const fits = plainFolders.map((name) => name.includes(text));
    wanted.push((row) => fits[data.folder[row]]);
  }
  if ($("existing").value) {
    const tag = $("existing").value.toLowerCase();
    const fits = data.existing_genre.words.map((text) => text.toLowerCase() === tag);
    wanted.push($("existing").value === NO_TAG
      ? (row) => data.existing_genre.rows[row] < 0
      : (row) => fits[data.existing_genre.rows[row]] === true);
  }
  if ($("status").value) wanted.push(statusTests[$("status").value]);
  const terms = plain($("search").value).split(/\s+/).filter(Boolean);
  if (terms.length) {
    fillHaystack(nRows);
    wanted.push((row) => terms.every((term) => haystack[row].includes(term)));
  }
  return wanted;
};
let shown = order;
let page = 0;
const filter = () => {
  const wanted = tests();
  shown = wanted.length ? order.filter((row) => wanted.every((test) => test(row))) : order;
  page = 0;
  draw();
};

// Drawing: text goes in as text nodes only, so a name can't become markup.
const element = (name, properties = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value; else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
};
const percent = (permille) => (permille / 10).toFixed(0) + " %";
const clock = (seconds) => {
  const minutes = Math.floor(seconds / 60);
  const rest = String(Math.floor(seconds % 60)).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${rest}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
};
const bar = (share) => {
  const fill = element("i");
  fill.style.width = 100 * share + "%";
  fill.style.background = "var(--accent)";
  return element("span", {className: "bar", "aria-hidden": "true"}, fill);
};
const cut = (text, whole = text) => element("td", {className: "cut", title: whole}, text);
const drawRow = (row) => {
  const heard = data.genre[row] >= 0;
  const sure = data.sure[row] === "1";
  const open = element("button", {type: "button", className: "track", "aria-expanded": "false"}, title(row));
  const line = element("tr", {},
    element("td", {}, open),
    cut(word(data.artist, row)),
    cut(word(data.album, row)),
    element("td", {className: sure ? "" : "not"},
      heard ? data.genreNames[data.genre[row]] + (sure ? "" : "?") : ["", "skipped", "failed"][data.status[row]]),
    heard
      ? element("td", {}, element("span", {className: "sure"}, bar(data.confidence[row] / 1000), percent(data.confidence[row])))
      : element("td", {className: "cut not", title: word(data.reason, row)}, word(data.reason, row)),
    element("td", {className: disagrees[row] ? "against" : ""}, word(data.existing_genre, row)),
    element("td", {}, data.seconds[row] ? clock(data.seconds[row]) : ""),
    cut(shortFolders[data.folder[row]], folder(row)));
  open.addEventListener("click", () => toggle(line, open, row));
  return line;
};
const draw = () => {
  const pages = Math.max(1, Math.ceil(shown.length / ROWS_PER_PAGE));
  page = Math.min(Math.max(0, page), pages - 1);
  const from = page * ROWS_PER_PAGE;
  $("body").replaceChildren(...Array.from(shown.subarray(from, from + ROWS_PER_PAGE), drawRow));
  $("page").value = page + 1;
  $("page").max = pages;
  $("pages").textContent = pages.toLocaleString("en");
  $("first").disabled = $("previous").disabled = page === 0;
  $("last").disabled = $("next").disabled = page === pages - 1;
  const of = shown.length === nRows ? "" : ` of ${nRows.toLocaleString("en")}`;
  $("found").textContent = `${shown.length.toLocaleString("en")}${of} tracks`
    + (pages > 1 ? `, page ${page + 1} of ${pages.toLocaleString("en")}` : "");
};

// One track: its genres over time, its probabilities, and its sound.
const toggle = (line, open, row) => {
  const isOpen = open.getAttribute("aria-expanded") === "true";
  open.setAttribute("aria-expanded", String(!isOpen));
  if (isOpen) line.nextSibling.remove();
  else line.after(element("tr", {}, element("td", {colSpan: 8, className: "more"}, ...details(row))));
};
const details = (row) => {
  const path = `${folder(row)}/${data.name[row]}`.replace("//", "/");
  const parts = [element("p", {}, element("code", {}, path))];
  if (word(data.reason, row)) parts.push(element("p", {}, "Note: " + word(data.reason, row)));
  if (copiesOf.has(row)) {
    const others = copiesOf.get(row).filter((other) => other !== row);
    parts.push(element("p", {}, "The same audio: ", ...others.flatMap((other) =>
      [element("code", {}, `${folder(other)}/${data.name[other]}`), " "])));
  }
  const player = element("audio", {controls: true, preload: "none", src: link(row)});
  player.setAttribute("aria-label", "Play " + title(row));
  const failed = element("p", {className: "not", hidden: true}, "This browser can’t play the file from here.");
  player.addEventListener("error", () => { failed.hidden = false; });
  if (data.genre[row] >= 0) {
    parts.push(element("div", {className: "side"}, overTime(row, player), probabilities(row)));
  }
  parts.push(player, failed);
  return parts;
};
const link = (row) => data.links[data.folder[row]]
  + (data.odd[row] !== undefined ? data.odd[row] : encodeURIComponent(data.name[row]));
const overTime = (row, player) => {
  const slices = slicesOf(row);
  const play = (seconds) => {
    player.currentTime = seconds;
    player.play().catch(() => {});
  };
  const times = slices.map(({seconds}) => {
    const button = element("button", {type: "button", title: "Play from here"}, clock(seconds));
    button.addEventListener("click", () => play(seconds));
    return element("th", {scope: "col"}, button);
  });
  const lines = data.genreNames.map((name, genre) => element("tr", {},
    element("th", {scope: "row"}, name),
    ...slices.map(({shares}) => {
      const cell = element("td", {}, shares[genre] >= 0.05 ? (100 * shares[genre]).toFixed(0) : "");
      cell.style.setProperty("--share", 100 * shares[genre] + "%");
      return cell;
    })));
  return element("div", {}, element("h3", {}, "Over time (% of each slice, before calibration)"),
    element("table", {className: "strip"},
      element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "min:s"), ...times)),
      element("tbody", {}, ...lines)));
};
const probabilities = (row) => {
  const shares = Array.from(decode("track", row * nGenres, nGenres), (byte, genre) => ({genre, share: byte / 255}));
  shares.sort((a, b) => b.share - a.share);
  return element("div", {}, element("h3", {}, "The whole track"),
    element("table", {className: "chart"}, element("tbody", {}, ...shares.map(({genre, share}) =>
      element("tr", {}, element("th", {scope: "row"}, data.genreNames[genre]),
        element("td", {className: "wide"}, bar(share)),
        element("td", {}, percent(1000 * share)))))));
};

// What the filters offer.
const offer = (id, values, label = (value) => value) => {
  $(id).append(...values.map((value) => element("option", {value}, label(value))));
};
const counted = (column) => {
  const counts = new Uint32Array(column.words.length);
  for (const number of column.rows) if (number >= 0) counts[number]++;
  return column.words.map((text, n) => ({text, count: counts[n]})).sort((a, b) => b.count - a.count);
};
offer("genre", data.genres, (genre) => data.genreNames[data.genres.indexOf(genre)]);
offer("existing", [NO_TAG, ...counted(data.existing_genre).slice(0, TAGS_OFFERED).map(({text}) => text)]);
offer("folders", data.folders.slice(0, FOLDERS_OFFERED));

// What people do.
const goTo = (number) => { page = number; draw(); };
$("filters").addEventListener("input", filter);
$("filters").addEventListener("reset", () => setTimeout(filter, 0));
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("first").addEventListener("click", () => goTo(0));
$("previous").addEventListener("click", () => goTo(page - 1));
$("next").addEventListener("click", () => goTo(page + 1));
$("last").addEventListener("click", () => goTo(Infinity));
$("page").addEventListener("change", () => goTo(($("page").value || 1) - 1));
for (const head of document.querySelectorAll("#tracks-table th")) {
  head.firstElementChild.addEventListener("click", () => sort(head.dataset.key));
}
for (const button of document.querySelectorAll("[data-find]")) {
  button.addEventListener("click", () => {
    $("filters").reset();
    for (const [id, value] of Object.entries(JSON.parse(button.dataset.find))) {
      const offered = $(id).options && Array.from($(id).options, (option) => option.value);
      if (offered && !offered.includes(value)) offer(id, [value]);
      $(id).value = value;
    }
    filter();
    $("table").focus({preventScroll: true});
    $("table").scrollIntoView();
  });
}
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    $("search").focus();
  }
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.className === "track") {
    const tracks = Array.from(document.querySelectorAll(".track"));
    const next = tracks[tracks.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) { event.preventDefault(); next.focus(); }
  }
});
draw();
fillInIdleTime();
document.documentElement.dataset.ready = "yes";
})();
