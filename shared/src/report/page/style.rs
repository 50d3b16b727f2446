//! The page's frame. The policy in it lets a browser load nothing and run nothing, whatever the page held.

pub(super) const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"referrer\" content=\"no-referrer\">
";

pub(super) const STYLE: &str = "<style>
:root { --ink: #1c2024; --soft: #5b6470; --line: #d5dae0; --paper: #fff; --tint: #f5f7f9; --bad: #a3201b; --good: #17613a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.25rem; color: var(--ink); background: var(--paper);
  font: 15px/1.45 system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif; overflow-wrap: anywhere; }
header { border-left: 6px solid var(--soft); padding: 0 0 0 .9rem; margin: 0 0 1.25rem; }
header.contained, header.released { border-color: var(--good); }
header.contested, header.partial, header.cannot_contain, header.partly_released { border-color: var(--bad); }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; padding-bottom: .2rem; border-bottom: 1px solid var(--line); }
p { margin: .35rem 0; }
.soft { color: var(--soft); }
.bad { color: var(--bad); font-weight: 600; }
.good { color: var(--good); font-weight: 600; }
ol, ul { margin: .35rem 0; padding-left: 1.3rem; }
li { margin: .2rem 0; }
table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; }
.facts th { width: 11rem; font-weight: 600; }
.narrow { width: 5.5rem; }
.middle { width: 13rem; }
code, pre { font: .82rem/1.4 ui-monospace, 'Liberation Mono', Menlo, Consolas, monospace; }
pre { margin: .35rem 0; padding: .6rem; background: var(--tint); border: 1px solid var(--line); white-space: pre-wrap; }
svg { display: block; width: 100%; height: auto; margin: .5rem 0; }
.blank { border-bottom: 1px solid var(--soft); height: 1.6rem; }
footer { margin-top: 1.6rem; padding-top: .5rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
@page { size: A4; margin: 14mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  h2 { break-after: avoid; }
  tr, li, svg { break-inside: avoid; }
  thead { display: table-header-group; }
  header, .bad, .good { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
</style>
";
