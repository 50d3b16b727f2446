//! Reading the guardrails file, strictly: a typo in it is a missed containment or an outage.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::parse_budget::{BudgetTable, budget};
use super::parse_isolation::{EvidenceTable, IsolationTable, evidence, isolation};
use super::{DenyWholeRole, Environment, Glob, Guardrails, Mode, Protected, Protection, Rule};
use crate::finding::TargetKind;
use crate::id::{AccountId, Arn, UniqueId};
use crate::text::printable;

/// Why a guardrails file is refused: where, what, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {reason}{}", .suggestion.as_ref().map(|text| format!("; {text}")).unwrap_or_default())]
pub struct GuardrailsError {
    /// The file's name.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<u32>,
    mode: Mode,
    default: Default,
    #[serde(default)]
    deny_whole_role: DenyWholeRole,
    #[serde(default)]
    trusted_products: Vec<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RuleTable>>,
    #[serde(default)]
    environment: Vec<Spanned<EnvironmentTable>>,
    #[serde(default)]
    protect: Vec<Spanned<ProtectTable>>,
    #[serde(default)]
    isolation: IsolationTable,
    #[serde(default)]
    evidence: EvidenceTable,
    #[serde(default)]
    budget: BudgetTable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Default {
    mode: Mode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: Spanned<String>,
    #[serde(default)]
    types: Vec<Spanned<String>>,
    min_severity: Option<Spanned<f64>>,
    below_severity: Option<Spanned<f64>>,
    #[serde(default)]
    accounts: Vec<Spanned<String>>,
    #[serde(default)]
    environments: Vec<Spanned<String>>,
    #[serde(default)]
    targets: Vec<Spanned<String>>,
    mode: Mode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvironmentTable {
    name: Spanned<String>,
    #[serde(default)]
    accounts: Vec<Spanned<String>>,
    tag: Option<Spanned<TagTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagTable {
    key: String,
    value: String,
    #[serde(default)]
    protected_by_scp: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProtectTable {
    arn: Option<Spanned<String>>,
    unique_id: Option<Spanned<String>>,
    account: Option<Spanned<String>>,
    because: Spanned<String>,
}

/// The file being read: turns byte ranges into lines.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1
    }

    pub(super) fn error(&self, span: &Range<usize>, reason: impl Into<String>, suggestion: Option<String>) -> GuardrailsError {
        GuardrailsError { file: self.file.to_owned(), line: self.line(span.start), reason: reason.into(), suggestion }
    }

    /// `value`, passed through `check`; the error carries its line.
    pub(super) fn checked<T, E: std::fmt::Display>(
        &self,
        value: &Spanned<String>,
        check: impl Fn(&str) -> Result<T, E>,
    ) -> Result<T, GuardrailsError> {
        check(value.get_ref()).map_err(|error| self.error(&value.span(), error.to_string(), None))
    }

    fn all<T, E: std::fmt::Display>(
        &self,
        values: &[Spanned<String>],
        check: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, GuardrailsError> {
        values.iter().map(|value| self.checked(value, &check)).collect()
    }
}

pub(super) fn parse(file: &str, text: &str) -> Result<Guardrails, GuardrailsError> {
    let source = Source { file, text };
    let tables: File = toml::from_str(text).map_err(|error| syntax(&source, &error))?;
    if *tables.version.get_ref() != 1 {
        return Err(source.error(&tables.version.span(), "this version of Tourniquet reads `version = 1`", None));
    }
    let environments = environments(&source, &tables.environment)?;
    let rules = rules(&source, &tables.rule, &environments)?;
    Ok(Guardrails {
        ceiling: tables.mode,
        default: tables.default.mode,
        deny_whole_role: tables.deny_whole_role,
        trusted_products: source.all(&tables.trusted_products, glob)?,
        rules,
        protections: tables.protect.iter().map(|table| protection(&source, table)).collect::<Result<_, _>>()?,
        environments,
        isolation: isolation(&source, &tables.isolation)?,
        evidence: evidence(&source, &tables.evidence)?,
        budget: budget(&source, &tables.budget)?,
    })
}

/// A TOML or type error. serde lists what it expected in back-ticks; the nearest of these is the suggestion.
fn syntax(source: &Source<'_>, error: &toml::de::Error) -> GuardrailsError {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next().unwrap_or_default();
    let suggestion = message.contains("expected").then(|| nearest(wrong, quoted)).flatten();
    let reason = message
        .split(", expected")
        .next()
        .unwrap_or(message)
        .replace("unknown field", "unknown key")
        .replace("missing field", "missing key");
    source.error(&error.span().unwrap_or_default(), reason, suggestion)
}

fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.collect();
    let best = known.iter().copied().max_by(|a, b| strsim::jaro_winkler(wrong, a).total_cmp(&strsim::jaro_winkler(wrong, b)))?;
    if strsim::jaro_winkler(wrong, best) > 0.75 {
        Some(format!("did you mean `{best}`?"))
    } else {
        Some(format!("known here: {}", known.join(", ")))
    }
}

fn environments(source: &Source<'_>, tables: &[Spanned<EnvironmentTable>]) -> Result<Vec<Environment>, GuardrailsError> {
    let (mut names, mut assigned) = (BTreeSet::new(), BTreeSet::new());
    let mut environments = Vec::new();
    for table in tables.iter().map(Spanned::get_ref) {
        if !names.insert(table.name.get_ref()) {
            return Err(source.error(
                &table.name.span(),
                format!("environment `{}` is defined twice", table.name.get_ref()),
                None,
            ));
        }
        let accounts = source.all(&table.accounts, AccountId::parse)?;
        for (account, value) in accounts.iter().zip(&table.accounts) {
            if !assigned.insert(account.clone()) {
                let reason = format!("account {account} already belongs to another environment");
                return Err(source.error(&value.span(), reason, Some("an account has one environment".to_owned())));
            }
        }
        if let Some(tag) = table.tag.as_ref().filter(|tag| !tag.get_ref().protected_by_scp) {
            let suggestion = "an attacker writes tags too: add `protected_by_scp = true` once an SCP keeps everyone else from writing this one";
            return Err(source.error(&tag.span(), "an environment by tag needs a protected tag", Some(suggestion.to_owned())));
        }
        if accounts.is_empty() && table.tag.is_none() {
            return Err(source.error(
                &table.name.span(),
                format!("environment `{}` holds nothing", table.name.get_ref()),
                Some("give `accounts` or `tag`".to_owned()),
            ));
        }
        let tag = table.tag.as_ref().map(|tag| (tag.get_ref().key.clone(), tag.get_ref().value.clone()));
        environments.push(Environment { name: table.name.get_ref().clone(), accounts, tag });
    }
    Ok(environments)
}

fn rules(source: &Source<'_>, tables: &[Spanned<RuleTable>], environments: &[Environment]) -> Result<Vec<Rule>, GuardrailsError> {
    let mut rules: Vec<Rule> = Vec::new();
    for table in tables {
        let rule = rule(source, table, environments)?;
        let at = table.get_ref().name.span();
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            return Err(source.error(&at, format!("rule `{}` is defined twice", rule.name), None));
        }
        if let Some(earlier) = rules.iter().find(|earlier| earlier.covers(&rule)) {
            let reason =
                format!("rule `{}` can never decide: rule `{}` on line {} matches first", rule.name, earlier.name, earlier.line);
            let suggestion =
                if earlier.mode == rule.mode { "delete it" } else { "they contradict each other: put the narrower rule first" };
            return Err(source.error(&at, reason, Some(suggestion.to_owned())));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn rule(source: &Source<'_>, table: &Spanned<RuleTable>, environments: &[Environment]) -> Result<Rule, GuardrailsError> {
    let fields = table.get_ref();
    let name = fields.name.get_ref();
    // The name is told to people: a control character in it would redraw their screen, a line break forge a line.
    if name.trim().is_empty() || printable(name, 120) != *name {
        return Err(source.error(&fields.name.span(), "a rule needs a name of 120 printable characters at most", None));
    }
    let severity = |value: &Option<Spanned<f64>>| match value {
        Some(value) if !(0.0..=10.0).contains(value.get_ref()) => {
            Err(source.error(&value.span(), format!("severity {} is outside 0.0 to 10.0", value.get_ref()), None))
        }
        value => Ok(value.as_ref().map(|value| *value.get_ref())),
    };
    let (min_severity, below_severity) = (severity(&fields.min_severity)?, severity(&fields.below_severity)?);
    if let (Some(minimum), Some(limit), Some(value)) = (min_severity, below_severity, &fields.min_severity)
        && minimum >= limit
    {
        return Err(source.error(&value.span(), format!("no severity is at least {minimum} and below {limit}"), None));
    }
    for name in &fields.environments {
        if !environments.iter().any(|known| known.name == *name.get_ref()) {
            let suggestion = nearest(name.get_ref(), environments.iter().map(|known| known.name.as_str()));
            return Err(source.error(&name.span(), format!("environment `{}` is not defined", name.get_ref()), suggestion));
        }
    }
    let targets = fields.targets.iter().map(|value| {
        TargetKind::ALL.into_iter().find(|kind| kind.as_str() == value.get_ref()).ok_or_else(|| {
            let suggestion = nearest(value.get_ref(), TargetKind::ALL.iter().map(|kind| kind.as_str()));
            source.error(&value.span(), format!("`{}` is no kind of target", value.get_ref()), suggestion)
        })
    });
    Ok(Rule {
        name: fields.name.get_ref().clone(),
        types: source.all(&fields.types, type_glob)?,
        min_severity,
        below_severity,
        accounts: source.all(&fields.accounts, AccountId::parse)?,
        environments: fields.environments.iter().map(|name| name.get_ref().clone()).collect(),
        targets: targets.collect::<Result<_, _>>()?,
        mode: fields.mode,
        line: source.line(fields.name.span().start),
    })
}

/// A pattern of finding types. Security Hub's have spaces: `TTPs/Credential Access/Honeytoken`.
fn type_glob(text: &str) -> Result<Glob, String> {
    let spaced = !text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  ");
    if !spaced {
        return glob(text);
    }
    glob(&text.replace(' ', "_")).map(|_| Glob(text.to_owned()))
}

fn glob(text: &str) -> Result<Glob, String> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains("**") {
        return Err(format!("`{text}` is no pattern: write a name in which `*` stands for any run of characters"));
    }
    Ok(Glob(text.to_owned()))
}

fn protection(source: &Source<'_>, table: &Spanned<ProtectTable>) -> Result<Protection, GuardrailsError> {
    let fields = table.get_ref();
    if fields.because.get_ref().trim().is_empty() {
        return Err(source.error(&fields.because.span(), "a protection needs its reason in `because`", None));
    }
    let what = match (&fields.arn, &fields.unique_id, &fields.account) {
        (Some(arn), None, None) => {
            if arn.get_ref().contains('*') {
                let suggestion = "name it exactly: whoever can create roles can satisfy a pattern".to_owned();
                return Err(source.error(&arn.span(), "a protection may not hold `*`", Some(suggestion)));
            }
            let parsed = source.checked(arn, Arn::parse)?;
            if parsed.service() == "sts" {
                let suggestion = format!("write the role: arn:{}:iam::{}:role/PATH/NAME", parsed.partition(), parsed.account());
                return Err(source.error(
                    &arn.span(),
                    "a session comes and goes; its role is what can be protected",
                    Some(suggestion),
                ));
            }
            Protected::Arn(parsed)
        }
        (None, Some(id), None) => Protected::UniqueId(source.checked(id, UniqueId::parse)?),
        (None, None, Some(account)) => Protected::Account(source.checked(account, AccountId::parse)?),
        _ => {
            let reason = "a protection names one of `arn`, `unique_id`, `account`";
            return Err(source.error(&table.span(), reason, None));
        }
    };
    Ok(Protection { what, because: fields.because.get_ref().clone() })
}

impl Rule {
    /// Whether everything `later` matches is matched here already.
    fn covers(&self, later: &Self) -> bool {
        fn superset<T>(mine: &[T], theirs: &[T], holds: impl Fn(&T, &T) -> bool) -> bool {
            mine.is_empty() || (!theirs.is_empty() && theirs.iter().all(|their| mine.iter().any(|my| holds(my, their))))
        }
        // A pattern that matches another pattern's text matches everything the other does.
        superset(&self.types, &later.types, |mine, theirs| mine.matches(&theirs.0))
            && superset(&self.accounts, &later.accounts, |mine, theirs| mine == theirs)
            && superset(&self.environments, &later.environments, |mine, theirs| mine == theirs)
            && superset(&self.targets, &later.targets, |mine, theirs| mine == theirs)
            && self.min_severity.is_none_or(|mine| later.min_severity.is_some_and(|theirs| mine <= theirs))
            && self.below_severity.is_none_or(|mine| later.below_severity.is_some_and(|theirs| mine >= theirs))
    }
}
