//! What became of releasing the case.

use super::facts::Facts;
use super::html::Html;
use super::sections::list;
use crate::containment::proposal::Approver;
use crate::containment::release::Does;
use crate::outcome::Status;
use crate::report::released::{ReleasedStep, release_headline};

/// The last release that was shown or carried out, each step with what was done, and what is held until when.
pub(super) fn release(facts: &Facts<'_>) -> Html {
    let mut html = Html::default();
    let Some(told) = &facts.release else { return html };
    html.markup("<section>\n<h2>Release</h2>\n");
    html.element("<p><strong>", &release_headline(&told.result.outcome, &facts.name()), "</strong></p>\n");
    if let Some(by) = &told.by {
        let how = match by {
            Approver::Button { action, .. } => format!("a click on {action}, event"),
            Approver::Invocation { .. } => "an invocation of the function, request".to_owned(),
        };
        let asked = format!("Asked for by {how} {}. {}.", by.act(), by.not_told());
        html.element("<p class=\"soft\">", &asked, "</p>\n");
    }
    if !told.result.steps.is_empty() {
        html.markup("<table>\n<thead><tr><th class=\"narrow\">Step</th><th>What it was on, and the line that undoes it</th></tr></thead>\n");
        for step in &told.result.steps {
            row(&mut html, step);
        }
        html.markup("</table>\n");
    }
    let held = told.result.holds.iter().map(|held| {
        format!("{} stays until {}: sessions issued before the release stay denied. Then: {}", held.on, held.until, held.line)
    });
    list(&mut html, "<ul>\n", &held.collect::<Vec<_>>(), "</ul>\n");
    if !told.result.since.is_empty() {
        html.markup("<p><strong>New on the target since the containment</strong></p>\n");
        list(&mut html, "<ul>\n", &told.result.since, "</ul>\n");
    }
    html.markup("</section>\n");
    html
}

fn row(html: &mut Html, step: &ReleasedStep) {
    let (open, word, reason) = match (&step.done, &step.does) {
        (Some(Status::Failed(reason)), _) => ("<tr><td class=\"bad\">", "failed", Some(reason)),
        (Some(Status::Done | Status::Already), Does::Force(reason)) => {
            ("<tr><td class=\"good\">", "undone, forced", Some(reason))
        }
        (Some(_), _) => ("<tr><td class=\"good\">", "undone", None),
        (None, Does::Undo) => ("<tr><td>", "to undo", None),
        (None, Does::Force(reason)) => ("<tr><td>", "to force", Some(reason)),
        (None, Does::Already) => ("<tr><td>", "undone before", None),
        (None, Does::Stay(reason)) => ("<tr><td>", "stays", Some(reason)),
        (None, Does::Refuse(reason)) => ("<tr><td class=\"bad\">", "not undone", Some(reason)),
    };
    html.element(open, word, "</td>");
    html.element("<td><strong>", &step.step.replace('_', " "), "</strong> ").text(&step.on);
    if let Some(reason) = reason {
        html.element("<br><span class=\"soft\">", reason, "</span>");
    }
    for line in &step.lines {
        html.element("<br><code>", line, "</code>");
    }
    html.markup("</td></tr>\n");
}
