"""The one style sheet of every page."""

from __future__ import annotations

CSS = """
:root {
  --paper: #ffffff; --ink: #1c2128; --soft: #57606a; --line: #d0d7de; --panel: #f6f8fa; --link: #0550ae;
  --good: #116329; --bad: #a40e26; --warn: #7a4d00; --note: #0a3069;
  --good-fill: #dafbe1; --bad-fill: #ffebe9; --warn-fill: #fff3c4; --note-fill: #ddf4ff;
  --c0: #a5d0ff; --c1: #ffd29e; --c2: #aee6b7; --c3: #d9ccff; --c4: #ffc2bd; --c5: #9fe3e8; --c6: #ece29a; --c7: #f7bfdc;
  --rest: #d5dae0; --edge: #ffffff; --on: #14181d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --ink: #e6edf3; --soft: #9aa4af; --line: #30363d; --panel: #161b22; --link: #79c0ff;
    --good: #7ee787; --bad: #ffa198; --warn: #f2cc60; --note: #a5d6ff;
    --good-fill: #12301a; --bad-fill: #3c1618; --warn-fill: #342a0c; --note-fill: #10263f;
    --c0: #1f4f85; --c1: #74481a; --c2: #22603a; --c3: #4c3d8f; --c4: #7c2f35; --c5: #15606a; --c6: #5f5716; --c7: #75305c;
    --rest: #3b424b; --edge: #0d1117; --on: #f5f7fa;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body {
  margin: 0 auto; padding: 1.5rem clamp(.9rem, 3vw, 2.5rem) 3rem; max-width: 82rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
section { margin-top: 2.2rem; }
section > .scroll, section > .bars, section > svg { margin: .7rem 0; }
footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
code, .mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .88em; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.chips { display: flex; flex-wrap: wrap; gap: .4rem; margin: .7rem 0 0; padding: 0; list-style: none; }
.chips li, .badge {
  border: 1px solid var(--line); border-radius: 1rem; padding: .08rem .65rem; background: var(--panel); font-size: .88rem;
}
.badge { display: inline-block; border-color: transparent; font-weight: 600; font-size: .8rem; white-space: nowrap; }
.error, .bad { color: var(--bad); background: var(--bad-fill); }
.warning { color: var(--warn); background: var(--warn-fill); }
.note { color: var(--note); background: var(--note-fill); }
.good { color: var(--good); background: var(--good-fill); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
.scroll:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; padding: .5rem .7rem; color: var(--soft); font-size: .88rem; }
th, td { text-align: left; vertical-align: top; padding: .38rem .7rem; border-top: 1px solid var(--line); }
thead th { border-top: 0; background: var(--panel); font-weight: 600; vertical-align: bottom; }
tbody th { font-weight: 500; overflow-wrap: anywhere; min-width: 11rem; }
td { overflow-wrap: anywhere; }
table.facts th { width: 11rem; color: var(--soft); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr:first-child > th, tr:first-child > td { border-top: 0; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; background: var(--paper); }
details > .scroll { border: 0; border-top: 1px solid var(--line); border-radius: 0 0 .5rem .5rem; }
summary { cursor: pointer; padding: .5rem .8rem; font-weight: 600; overflow-wrap: anywhere; }
summary .soft { font-weight: 400; }
.inside { padding: 0 .8rem .8rem; }
.bars { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr max-content; gap: .45rem .8rem; align-items: center; }
.row { display: contents; }
.bars .label { overflow-wrap: anywhere; }
.bars .amount { font-variant-numeric: tabular-nums; white-space: nowrap; text-align: right; }
.track { display: flex; height: 1.5rem; min-width: 0; }
.track span { display: block; height: 100%; min-width: 3px; border-right: 1px solid var(--edge); }
.track span:first-child { border-radius: .25rem 0 0 .25rem; }
.track span:last-child { border-radius: 0 .25rem .25rem 0; border-right: 0; }
.both { display: grid; grid-template-columns: 1fr 1fr; }
.both > div { display: flex; height: 1.1rem; }
.both > div:first-child { justify-content: flex-end; border-right: 1px solid var(--soft); }
.both span { display: block; min-width: 2px; height: 100%; }
.f0 { background: var(--c0); } .f1 { background: var(--c1); } .f2 { background: var(--c2); } .f3 { background: var(--c3); }
.f4 { background: var(--c4); } .f5 { background: var(--c5); } .f6 { background: var(--c6); } .f7 { background: var(--c7); }
.fr { background: var(--rest); }
.key { display: inline-block; width: .85em; height: .85em; border-radius: .2em; margin-right: .45em; vertical-align: -.08em; }
svg { display: block; width: 100%; height: auto; border-radius: .5rem; background: var(--panel); }
svg .s0 { fill: var(--c0); } svg .s1 { fill: var(--c1); } svg .s2 { fill: var(--c2); } svg .s3 { fill: var(--c3); }
svg .s4 { fill: var(--c4); } svg .s5 { fill: var(--c5); } svg .s6 { fill: var(--c6); } svg .s7 { fill: var(--c7); }
svg .sr { fill: var(--rest); }
svg rect { stroke: var(--edge); stroke-width: 1; }
svg rect.frame { fill: none; stroke-width: 3; }
svg text { fill: var(--on); font: 11px system-ui, sans-serif; pointer-events: none; }
svg text.name { fill: var(--ink); font-size: 12px; } svg rect.whisker { fill: var(--ink); stroke: none; }
svg text.head { font-weight: 700; font-size: 12px; }
svg.narrow { display: none; }
.findings { list-style: none; margin: 0; padding: 0; }
.findings li { border-top: 1px solid var(--line); padding: .6rem 0; }
.findings li:first-child { border-top: 0; }
.findings .hint { color: var(--soft); }
@media (max-width: 40rem) {
  body { font-size: 14px; }
  h2 { font-size: 1.08rem; }
  svg.wide { display: none; }
  svg.narrow { display: block; }
  .bars { display: block; }
  .row { display: grid; grid-template-columns: 1fr max-content; gap: .1rem .8rem; margin: .6rem 0; }
  .row .track, .row .both { grid-column: 1 / -1; grid-row: 2; }
  td { min-width: 6rem; }
  table.facts th { width: 8rem; min-width: 6rem; }
  th, td { padding: .35rem .5rem; }
}
@media print { details > * { display: block; } body { max-width: none; } }
"""
