//! Who may never be touched, and how far to go for which finding in which environment.
//!
//! The file lives in the case bucket, out of reach of whoever holds a workload account, and is read on every
//! invocation. One that cannot be read, or does not hold together, lets Tourniquet *propose*, never *contain*
//! (CONTAINMENT H2, H3, H5).

pub mod budget;
pub mod isolation;
mod parse;
mod parse_budget;
mod parse_isolation;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::{Finding, TargetKind};
use crate::id::{AccountId, Arn, UniqueId};

pub use budget::Budget;
pub use isolation::{Allow, AutoScaling, Direction, EvidenceLock, Isolation, LockMode, Peer};
pub use parse::GuardrailsError;

/// How far to go. Ordered: a lower mode does less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Say what would happen.
    Observe,
    /// Plan, remember, ask a person.
    Propose,
    /// Carry the plan out.
    Contain,
}

impl Mode {
    /// Every mode, least first.
    pub const ALL: [Self; 3] = [Self::Observe, Self::Propose, Self::Contain];

    /// The mode, as the file and the reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Propose => "propose",
            Self::Contain => "contain",
        }
    }
}

/// Whether a role may be denied as a whole where the deny of a session does not fit on it. It is an outage for everyone
/// who holds the role, new sessions too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyWholeRole {
    /// Yes: rather an outage than an attacker.
    WhenFull,
    /// No: a person denies the session by an SCP.
    #[default]
    Never,
}

/// The guardrails in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Guardrails {
    /// The most any rule may do: `observe` stops the machine without a deployment.
    pub(crate) ceiling: Mode,
    /// The mode where no rule matches.
    pub(crate) default: Mode,
    pub(crate) deny_whole_role: DenyWholeRole,
    pub(crate) trusted_products: Vec<Glob>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) environments: Vec<Environment>,
    pub(crate) protections: Vec<Protection>,
    pub(crate) isolation: Isolation,
    pub(crate) evidence: EvidenceLock,
    pub(crate) budget: Budget,
}

/// One rule: every condition given must hold. The first rule that matches decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(crate) name: String,
    pub(crate) types: Vec<Glob>,
    pub(crate) min_severity: Option<f64>,
    pub(crate) below_severity: Option<f64>,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) environments: Vec<String>,
    pub(crate) targets: Vec<TargetKind>,
    pub(crate) mode: Mode,
    /// The line it starts on, for messages.
    pub(crate) line: usize,
}

/// A named set of accounts, or of principals carrying a tag that an SCP keeps attackers from writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    pub(crate) name: String,
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) tag: Option<(String, String)>,
}

/// Something that is never touched, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// What it protects.
    #[serde(flatten)]
    pub what: Protected,
    /// Why, in the words of whoever wrote the file.
    pub because: String,
}

/// What a protection names: exactly, never by a pattern that someone able to create roles could satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Protected {
    /// One principal, instance, bucket, function or database.
    Arn(Arn),
    /// One IAM user or role, whatever its name becomes.
    UniqueId(UniqueId),
    /// Everything in an account.
    Account(AccountId),
}

/// What the guardrails need to know of a target, from AWS and not from the finding.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The kind of target.
    pub kind: TargetKind,
    /// Its account.
    pub account: &'a AccountId,
    /// Its ARN, where there is one.
    pub arn: Option<&'a Arn>,
    /// Its unique id, where there is one.
    pub unique_id: Option<&'a UniqueId>,
    /// Its tags.
    pub tags: &'a BTreeMap<String, String>,
}

/// What the rules say to a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// How far to go.
    pub mode: Mode,
    /// The rule that decided, with its line; `default` where none matched.
    pub rule: String,
}

impl Guardrails {
    /// Reads a guardrails file.
    ///
    /// # Errors
    /// With file, line, reason and where possible a suggestion: unknown keys, values out of range, rules that
    /// contradict each other or can never be reached.
    pub fn parse(file: &str, text: &str) -> Result<Self, GuardrailsError> {
        parse::parse(file, text)
    }

    /// How far to go for `finding` on `subject`: the first matching rule's mode, under the ceiling.
    #[must_use]
    pub fn ruling(&self, finding: &Finding, subject: Subject<'_>) -> Ruling {
        let matching = self.rules.iter().find(|rule| self.matches(rule, finding, subject));
        let (mode, rule) = match matching {
            Some(rule) => (rule.mode, format!("{} (line {})", rule.name, rule.line)),
            None => (self.default, "default".to_owned()),
        };
        if mode > self.ceiling {
            return Ruling { mode: self.ceiling, rule: format!("mode = \"{}\" caps {rule}", self.ceiling.as_str()) };
        }
        Ruling { mode, rule }
    }

    /// The most any rule, or any person's click, may do.
    #[must_use]
    pub fn ceiling(&self) -> Mode {
        self.ceiling
    }

    /// Whether a role may be denied as a whole where the deny of a session does not fit.
    #[must_use]
    pub fn may_deny_whole_role(&self) -> bool {
        self.deny_whole_role == DenyWholeRole::WhenFull
    }

    /// How far the isolation of an instance goes, and who still reaches it.
    #[must_use]
    pub fn isolation(&self) -> &Isolation {
        &self.isolation
    }

    /// How the snapshots of a case are locked.
    #[must_use]
    pub fn evidence(&self) -> &EvidenceLock {
        &self.evidence
    }

    /// How much may be contained without a person.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The protection that covers `subject`, if one does.
    #[must_use]
    pub fn protection(&self, subject: Subject<'_>) -> Option<&Protection> {
        self.protections.iter().find(|protection| match &protection.what {
            Protected::Arn(arn) => subject.arn == Some(arn),
            Protected::UniqueId(id) => subject.unique_id == Some(id),
            Protected::Account(account) => subject.account == account,
        })
    }

    /// Whether findings imported under `product` are believed (CONTAINMENT H1). A finding that came straight from a
    /// detector's own event has no product to check.
    #[must_use]
    pub fn trusts(&self, product: Option<&str>) -> bool {
        product.is_none_or(|product| self.trusted_products.iter().any(|glob| glob.matches(product)))
    }

    fn matches(&self, rule: &Rule, finding: &Finding, subject: Subject<'_>) -> bool {
        let any_or_empty = |empty: bool, any: bool| empty || any;
        any_or_empty(rule.types.is_empty(), rule.types.iter().any(|glob| glob.matches(&finding.finding_type)))
            && rule.min_severity.is_none_or(|minimum| finding.severity >= minimum)
            && rule.below_severity.is_none_or(|limit| finding.severity < limit)
            && any_or_empty(rule.accounts.is_empty(), rule.accounts.contains(subject.account))
            && any_or_empty(rule.targets.is_empty(), rule.targets.contains(&subject.kind))
            && any_or_empty(rule.environments.is_empty(), rule.environments.iter().any(|name| self.is_in(name, subject)))
    }

    fn is_in(&self, environment: &str, subject: Subject<'_>) -> bool {
        self.environments.iter().filter(|known| known.name == environment).any(|known| {
            known.accounts.contains(subject.account)
                || known.tag.as_ref().is_some_and(|(key, value)| subject.tags.get(key) == Some(value))
        })
    }
}

/// A pattern in which `*` stands for any run of characters, and everything else for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(pub(crate) String);

impl Glob {
    /// Whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` yields at least one part.
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.len() >= last.len() && rest.ends_with(last)
    }
}
