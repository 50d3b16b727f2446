//! The page's sections, each left out where there is nothing to say.

use super::Chain;
use super::facts::Facts;
use super::html::Html;
use crate::case::sealed::{Locked, SealRecord};
use crate::containment::identity::Sign;
use crate::outcome::{Outcome, Status};
use crate::report::notification::headline;
use crate::report::released::{ReleaseOutcome, release_headline};
use crate::report::timing::in_words;

/// What happened, and what a person must do: the first thing that is read.
pub(super) fn head(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    let undone = facts.undone();
    let class = undone.map(|told| told.result.outcome.as_str()).or_else(|| facts.outcome().map(Outcome::as_str));
    html.markup("<header class=\"").text(class.unwrap_or("working")).markup("\">\n");
    let what = match (undone, facts.outcome()) {
        (Some(told), _) => release_headline(&told.result.outcome, &facts.name()),
        (None, Some(outcome)) => headline(outcome, &facts.name()),
        (None, None) => format!("AT WORK: {}. Nobody has been told of an outcome yet.", facts.name()),
    };
    html.element("<h1>", &what, "</h1>\n");
    let next = undone.map_or(&facts.next, |told| &told.result.next);
    if next.is_empty() {
        html.markup("<p>Nothing more is asked of a person.</p>\n");
    } else {
        html.markup("<p><strong>What a person must do</strong></p>\n");
        list(&mut html, "<ol>\n", next, "</ol>\n");
    }
    html.markup("</header>\n");
    html
}

/// What was found, about whom, and by which rule.
pub(super) fn finding(facts: &Facts<'_>) -> Html {
    let (finding, decision) = (&facts.memory.finding, &facts.memory.decision);
    let mut rows = vec![
        ("Case", facts.page.case.to_string()),
        ("Target", format!("{} {}", decision.target.kind.as_str().replace('_', " "), decision.target.arn)),
        ("Unique id", decision.target.id.clone().unwrap_or_default()),
        ("Finding", format!("{}, severity {:.1}", finding.finding_type, finding.severity)),
        ("Title", finding.title.clone()),
        ("Finding id", finding.id.to_string()),
        ("Account, Region", format!("{}, {}", finding.account, finding.region)),
        ("First, last seen", format!("{}, {}", finding.first_seen, finding.last_seen)),
    ];
    if let Some(ruling) = &decision.ruling {
        rows.push(("Guardrails", format!("{} by rule {}", ruling.mode.as_str(), ruling.rule)));
    }
    rows.retain(|(_, value)| !value.is_empty());
    let mut html = Html::default();
    html.markup("<section>\n<h2>Finding and target</h2>\n<table class=\"facts\">\n");
    for (label, value) in rows {
        html.element("<tr><th>", label, "</th>").element("<td>", &value, "</td></tr>\n");
    }
    html.markup("</table>\n</section>\n");
    html
}

/// Each step that was tried, with the line that does the same.
pub(super) fn done(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    html.markup("<section>\n<h2>What was done</h2>\n");
    if facts.steps.is_empty() {
        html.markup("<p>Nothing was changed.</p>\n");
        if !facts.memory.commands.is_empty() {
            html.markup("<p>What would have been done:</p>\n<pre>").lines(&facts.memory.commands.join("\n")).markup("</pre>\n");
        }
        html.markup("</section>\n");
        return html;
    }
    html.markup("<table>\n<thead><tr><th class=\"narrow\">Status</th><th class=\"narrow\">At</th><th>Step, what it changes, its line</th></tr></thead>\n");
    for step in &facts.steps {
        let report = &step.report;
        let (open, word, reason) = match &report.status {
            Status::Done => ("<tr><td class=\"good\">", "done", None),
            Status::Already => ("<tr><td class=\"good\">", "already so", None),
            Status::Failed(reason) => ("<tr><td class=\"bad\">", "failed", Some(reason)),
            Status::Skipped(reason) => ("<tr><td>", "skipped", Some(reason)),
        };
        html.element(open, word, "</td>");
        html.element("<td>", &in_words(report.started_ms + report.took_ms), "</td>");
        html.element("<td><strong>", &report.step.replace('_', " "), "</strong> ").text(&report.on);
        if let Some(reason) = reason {
            html.element("<p class=\"bad\">", reason, "</p>");
        }
        html.element("<br><code>", &step.command, "</code>");
        if !report.request_ids.is_empty() {
            let ids = format!("entry {:04}, AWS request {}", step.entry.number, report.request_ids.join(", "));
            html.element("<br><span class=\"soft\">", &ids, "</span>");
        }
        html.markup("</td></tr>\n");
    }
    html.markup("</table>\n<p class=\"soft\">Times count from when the function was called. Access keys are redacted here; ");
    html.markup("the ledger has every line whole.</p>\n</section>\n");
    html
}

/// What a containment leaves open, and whom it hits.
pub(super) fn not_covered(facts: &Facts<'_>) -> Html {
    let decision = &facts.memory.decision;
    let risks = facts.result.as_ref().map_or(&decision.residual_risk, |result| &result.residual_risk);
    let mut html = Html::default();
    if risks.is_empty() && decision.unread.is_empty() && decision.blast_radius.is_empty() {
        return html;
    }
    html.markup("<section>\n<h2>What is not covered</h2>\n");
    list(&mut html, "<ul>\n", risks, "</ul>\n");
    titled(&mut html, "<p><strong>Could not be read when it was decided</strong></p>\n", &decision.unread);
    titled(&mut html, "<p><strong>Who else is hit</strong></p>\n", &decision.blast_radius);
    html.markup("</section>\n");
    html
}

/// What is new on the principal.
pub(super) fn since(facts: &Facts<'_>) -> Html {
    let signs: Vec<String> = facts.memory.decision.persistence.iter().map(Sign::line).collect();
    let mut html = Html::default();
    if !signs.is_empty() {
        titled(html.markup("<section>\n"), "<h2>Since the first sighting</h2>\n", &signs);
        html.markup("</section>\n");
    }
    html
}

/// The way back.
pub(super) fn undo(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    let is_undone = facts.undone().is_some_and(|told| told.result.outcome == ReleaseOutcome::Released);
    if !facts.undo.is_empty() && !is_undone {
        html.markup(
            "<section>\n<h2>How to undo</h2>\n<p>From the first line down. Keys are written out in the ledger.</p>\n<pre>",
        );
        html.lines(&facts.undo.join("\n")).markup("</pre>\n</section>\n");
    }
    html
}

/// What was kept, with hashes.
pub(super) fn evidence(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    if facts.objects.is_empty() && facts.seals.is_empty() {
        return html;
    }
    html.markup("<section>\n<h2>Evidence</h2>\n<table>\n<thead><tr><th>Object</th><th>SHA-256</th></tr></thead>\n");
    for object in &facts.objects {
        html.element("<tr><td>", &object.key, "</td>").element("<td><code>", &object.sha256, "</code></td></tr>\n");
    }
    html.markup("</table>\n");
    list(&mut html, "<ul>\n", &facts.seals.iter().flat_map(seal_lines).collect::<Vec<_>>(), "</ul>\n");
    html.markup("</section>\n");
    html
}

fn seal_lines(record: &SealRecord) -> Vec<String> {
    match record {
        SealRecord::Sealed(sealed) => {
            let locked = match &sealed.locked {
                Locked::Locked(how) => format!("locked: {how}"),
                Locked::NotWanted => "not locked: the guardrails want no lock".to_owned(),
                Locked::NotLocked(reason) => format!("NOT LOCKED: {reason}"),
            };
            let name = format!("{} snapshot {} in account {}", sealed.role.as_str(), sealed.snapshot, sealed.account);
            let hashes = sealed.hashes.iter().map(|hash| {
                format!("{} of {}: sha256:{} over {} blocks", hash.level.as_str(), sealed.snapshot, hash.root, hash.blocks)
            });
            std::iter::once(format!("{name}; {locked}")).chain(hashes).collect()
        }
        SealRecord::Failed(failed) => {
            vec![format!("{} snapshot {}: {}: {}", failed.role.as_str(), failed.snapshot, failed.step.as_str(), failed.reason)]
        }
        _ => Vec::new(),
    }
}

/// Every entry, with its hash.
pub(super) fn ledger(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    html.markup(
        "<section>\n<h2>Ledger</h2>\n<table>\n<thead><tr><th class=\"narrow\">Entry</th><th class=\"middle\">Written</th>",
    );
    html.markup("<th>By, and the SHA-256 of the entry</th></tr></thead>\n");
    for entry in facts.page.entries {
        let kind = serde_json::to_value(entry.entry).ok();
        let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default();
        html.element("<tr><td>", &format!("{:04} {kind}", entry.number), "</td>");
        html.element("<td>", &entry.at.to_string(), "</td>");
        let function = entry.actor.function.rsplit(':').next().unwrap_or_default();
        html.element("<td>", &format!("{function} {}, request {}", entry.actor.version, entry.actor.request_id), "<br>");
        html.element("<code>", &entry.digest(), "</code></td></tr>\n");
    }
    html.markup("</table>\n</section>\n");
    html
}

/// Whether the ledger is the one that was written.
pub(super) fn chain(facts: &Facts<'_>) -> Html {
    let page = facts.page;
    let mut html = Html::default();
    html.markup("<section>\n<h2>Chain of custody</h2>\n");
    match page.chain {
        Chain::Holds(report) => {
            html.markup("<p class=\"good\">").text(&format!("The chain holds: {} entries.", report.entries)).markup("</p>\n");
            html.element("<p>Head <code>", &report.head, "</code></p>\n");
            html.element("<p>Recomputed over the objects in ", page.place, " by ").text(page.made_by);
            html.element(" at ", &page.made.to_string(), ".</p>\n");
        }
        Chain::Broken(broken) => {
            html.element("<p class=\"bad\">THE CHAIN IS BROKEN: ", &broken.to_string(), "</p>\n");
            html.element("<p>Recomputed over the objects in ", page.place, " by ").text(page.made_by);
            html.element(
                " at ",
                &page.made.to_string(),
                ". Versions of the bucket before this one are locked: compare them.</p>\n",
            );
        }
        Chain::NotChecked => {
            html.markup("<p>This page was made by the function that writes the ledger, which cannot vouch for it. Check it yourself:</p>\n");
            let lines = format!("make verify-case CASE={0}\nmake report CASE={0}", page.case);
            html.markup("<pre>").lines(&lines).markup("</pre>\n");
            html.markup("<p>The second line makes this page anew, with the result of the check in this place.</p>\n");
        }
    }
    html.markup("</section>\n");
    html
}

/// The target before the first change.
pub(super) fn original(facts: &Facts<'_>) -> Html {
    let text = serde_json::to_string_pretty(&facts.first.original).unwrap_or_default();
    let mut html = Html::default();
    html.markup(
        "<section>\n<h2>Original state</h2>\n<p class=\"soft\">As read before the first change; what is put back.</p>\n<pre>",
    );
    html.lines(&text).markup("</pre>\n</section>\n");
    html
}

pub(super) fn foot(facts: &Facts<'_>) -> Html {
    let page = facts.page;
    let mut html = Html::default();
    html.element("<footer>Case ", &page.case.to_string(), ", ").element("kept in ", page.place, ". ");
    html.element("Made at ", &page.made.to_string(), " by ").text(page.made_by).markup(". End of the report.</footer>\n");
    html
}

fn titled(html: &mut Html, title: &'static str, items: &[String]) {
    if !items.is_empty() {
        list(html.markup(title), "<ul>\n", items, "</ul>\n");
    }
}

pub(super) fn list(html: &mut Html, open: &'static str, items: &[String], close: &'static str) {
    if items.is_empty() {
        return;
    }
    html.markup(open);
    for item in items {
        // A line to be typed is set as one.
        if item.starts_with("aws ") || item.contains("$(aws ") {
            html.element("<li><code>", item, "</code></li>\n");
        } else {
            html.element("<li>", item, "</li>\n");
        }
    }
    html.markup(close);
}
