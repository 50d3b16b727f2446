//! The picture of when what happened, and the spans between.

use super::facts::Facts;
use super::html::Html;
use crate::case::EntryKind;
use crate::report::timing::in_words;
use crate::timestamp::Timestamp;

/// One thing that happened.
struct Point {
    label: &'static str,
    at: Timestamp,
}

/// How far points lie apart; the spans between them differ by powers of ten, so the picture is no scale.
const STEP: usize = 132;
const LEFT: usize = 66;

/// Of many looks the last ones are drawn; the table below has all of them.
const MOST_RECHECKS: usize = 3;

fn points(facts: &Facts<'_>) -> Vec<Point> {
    let timing = facts.timing.as_ref();
    let finding = &facts.first.finding;
    [
        ("first seen", Some(finding.first_seen)),
        ("fired", timing.and_then(|timing| timing.fired)),
        ("received", timing.map(|timing| timing.received)),
        ("observed", Some(facts.opened.at)),
        ("cut", timing.and_then(|timing| timing.cut)),
        ("verified", timing.and_then(|timing| timing.verified)),
        ("told", facts.last(EntryKind::Reported)),
        ("released", facts.undone().and_then(|_| facts.last(EntryKind::Released))),
        ("lifted", facts.last(EntryKind::Lifted)),
    ]
    .into_iter()
    .filter_map(|(label, at)| Some(Point { label, at: at? }))
    .chain(facts.rechecks.iter().rev().take(MOST_RECHECKS).rev().map(|(at, _)| Point { label: "rechecked", at: *at }))
    .collect()
}

/// The timeline.
pub(super) fn picture(facts: &Facts<'_>) -> Html {
    let points = points(facts);
    let width = LEFT * 2 + STEP * points.len().saturating_sub(1);
    let mut html = Html::default();
    html.markup("<section>\n<h2>Timeline (UTC)</h2>\n<svg role=\"img\" aria-label=\"Timeline\" viewBox=\"0 0 ");
    html.number(width).markup(" 92\" font-family=\"sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n");
    html.markup("<line x1=\"").number(LEFT).markup("\" x2=\"").number(width - LEFT);
    html.markup("\" y1=\"42\" y2=\"42\" stroke=\"#5b6470\" stroke-width=\"2\"/>\n");
    let mut before: Option<Timestamp> = None;
    for (place, point) in points.iter().enumerate() {
        let x = LEFT + place * STEP;
        let cut = point.label == "cut";
        html.markup("<circle cx=\"").number(x).markup("\" cy=\"42\" r=\"").number(if cut { 8 } else { 5 });
        html.markup(if cut { "\" fill=\"#a3201b\"/>" } else { "\" fill=\"#1c2024\"/>" });
        html.markup("<text y=\"24\" font-weight=\"bold\" x=\"").number(x).element("\">", point.label, "</text>");
        let written = point.at.to_string();
        let (day, time) = written.split_once('T').unwrap_or((&written, ""));
        html.markup("<text y=\"68\" x=\"").number(x).element("\">", time.trim_end_matches('Z'), "</text>");
        html.markup("<text y=\"85\" fill=\"#5b6470\" x=\"").number(x).element("\">", day, "</text>\n");
        // Clocks of AWS and of detectors are not one: what seems to come before has no span.
        if let Some(span) = before.and_then(|before| point.at.milliseconds_since(before)) {
            html.markup("<text y=\"37\" font-size=\"11\" fill=\"#5b6470\" x=\"").number(x - STEP / 2);
            html.element("\">", &format!("+{}", in_words(span)), "</text>\n");
        }
        before = Some(point.at);
    }
    html.markup("</svg>\n");
    if let Some(timing) = &facts.timing {
        html.markup("<table class=\"facts\">\n");
        for (name, milliseconds) in timing.intervals() {
            let label = match name {
                "FirstSeenToCut" => "First seen to cut",
                "EventToCut" => "Event to cut",
                "HandlerToCut" => "Handler to cut",
                _ => "Handler to verified",
            };
            html.element("<tr><th>", label, "</th>").element("<td>", &in_words(milliseconds), "</td></tr>\n");
        }
        html.markup("</table>\n");
    }
    if !facts.rechecks.is_empty() {
        html.markup("<table>\n<thead><tr><th class=\"narrow\">Rechecked</th><th>What was found</th></tr></thead>\n");
        for (at, record) in &facts.rechecks {
            html.element("<tr><td>", &at.to_string(), "</td>");
            html.element(if record.holds { "<td class=\"good\">" } else { "<td class=\"bad\">" }, &record.line(), "</td></tr>\n");
        }
        html.markup("</table>\n");
    }
    html.markup(
        "<p class=\"soft\">Not to scale. First seen and fired are the detector's clock, the others the function's.</p>\n",
    );
    html.markup("</section>\n");
    html
}
