//! An explanation, as a person reads it.

use std::fmt::Write as _;

use tourniquet::containment::{Decision, TargetRecord, Verdict};
use tourniquet::finding::TargetKind;
use tourniquet::step::Step;

use super::{ExplainedFinding, ExplainedTarget, Explanation, GuardrailsSay, MatchingRule, TargetAnswer};

pub(super) fn text(explanation: &Explanation) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let mut line = |content: String| writeln!(out, "{content}").unwrap_or_default();
    let rules: Vec<_> = explanation.rules.iter().map(rule).collect();
    let rules = if rules.is_empty() { "none: no function would be called".to_owned() } else { rules.join(", ") };
    line(format!("Rules of the template that match   {rules}"));
    for ignored in &explanation.ignored {
        line(format!("Ignored                            {} {}", ignored.reason.as_str(), ignored.detail));
    }
    for ExplainedFinding { finding, targets } in &explanation.findings {
        line(String::new());
        line(format!("Finding    {}, severity {:.1}", finding.finding_type, finding.severity));
        line(format!("           {}", finding.title));
        line(format!("           {}", finding.id));
        line(format!("           account {}, Region {}, first seen {}", finding.account, finding.region, finding.first_seen));
        if targets.is_empty() {
            line("Target     none: nobody is accused".to_owned());
        }
        for target in targets {
            line(String::new());
            explained_target(&mut line, target);
        }
    }
    if let Some(snapshots) = &explanation.snapshots {
        line(String::new());
        line(format!("Snapshots  {snapshots}"));
    }
    out
}

fn rule(rule: &MatchingRule) -> String {
    let functions = if rule.functions.is_empty() { "no function".to_owned() } else { rule.functions.join(", ") };
    format!("{} ({functions})", rule.name)
}

fn explained_target(line: &mut impl FnMut(String), explained: &ExplainedTarget) {
    let (target, case) = match &explained.answer {
        TargetAnswer::Decided { decision, case_would_be } => (&decision.target, Some(case_would_be)),
        TargetAnswer::Ruled { target, case_would_be, .. } => (target, Some(case_would_be)),
        TargetAnswer::Nobodys { target } => (target, None),
    };
    let TargetRecord { kind, arn, id, .. } = target;
    let id = id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
    line(format!("Target     {} {arn}{id}", kind.as_str()));
    line(match explained.function {
        Some(function) if explained.called_by.is_empty() => format!("Function   {function}, which no rule calls for this event"),
        Some(function) => format!("Function   {function}, called by {}", explained.called_by.join(", ")),
        None => "Function   none: nothing here contains it".to_owned(),
    });
    if let Some(case) = case {
        line(format!("Case       {case}"));
    }
    match &explained.answer {
        TargetAnswer::Decided { decision, .. } => decided(line, decision),
        TargetAnswer::Ruled { profile, guardrails, .. } => {
            if let Some(profile) = profile {
                line(format!("Profile    {profile}, says the finding"));
            }
            line(match guardrails {
                GuardrailsSay::Ruling(ruling) => format!("Guardrail  {} by rule {}", ruling.mode.as_str(), ruling.rule),
                GuardrailsSay::Protected(because) => format!("Guardrail  never touched: {because}"),
                GuardrailsSay::ProductNotListed(product) => format!("Guardrail  product_not_listed: ignored, from {product}"),
            });
        }
        TargetAnswer::Nobodys { .. } => {}
    }
}

fn decided(line: &mut impl FnMut(String), decision: &Decision) {
    if let Some(ruling) = &decision.ruling {
        line(format!("Guardrail  {} by rule {}", ruling.mode.as_str(), ruling.rule));
    }
    line(format!("Decision   {}", verdict(&decision.verdict)));
    for (index, step) in decision.plan.steps().enumerate() {
        let label = if index == 0 { "Plan       " } else { "           " };
        line(format!("{label}{}", decision.plan.redacted(&step.command())));
    }
    if decision.target.kind == TargetKind::User && !decision.plan.is_empty() {
        line("           and the same for every other credential IAM lists for it at run time".to_owned());
    }
    let rungs: Vec<_> = decision.plan.fallback.iter().map(Step::command).collect();
    section(line, "If full    ", &rungs);
    section(line, "Also hit   ", &decision.blast_radius);
    section(line, "Remains    ", &decision.residual_risk);
    section(line, "Next       ", &decision.next_steps);
}

fn section(line: &mut impl FnMut(String), label: &str, items: &[String]) {
    for (index, item) in items.iter().enumerate() {
        line(format!("{}{item}", if index == 0 { label } else { "           " }));
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Contain => "contain".to_owned(),
        Verdict::Propose(reason) => format!("propose: {reason}"),
        Verdict::Observe => "observe: say what would happen".to_owned(),
        Verdict::CannotContain(reason) => format!("cannot contain: {}", reason.as_str()),
        Verdict::Skip(reason) => format!("skip: {reason}"),
        Verdict::Ignore(ignored) => format!("ignore: {} {}", ignored.reason.as_str(), ignored.detail),
    }
}
