//! The circuit breaker: how much was contained by now, and whether one more may be without a person (CONTAINMENT H5).
//! Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::guardrails::budget::Budget;
use crate::id::{AccountId, CaseId};
use crate::text::{printable, sha256};

/// Over how long containments are counted.
pub const WINDOW: Duration = Duration::from_hours(1);

/// The cases under which something was contained within the last sixty minutes, with the account of each.
pub type Counted = BTreeMap<CaseId, AccountId>;

/// Why something that is counted could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// In AWS's words.
    pub reason: String,
    /// Whether it may be readable a moment later.
    pub passing: bool,
}

/// The Auto Scaling group that an instance is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Its name.
    pub group: String,
    /// How many instances it has, and how many others of them are on standby, by us or by anyone.
    pub size: Result<(usize, usize), Unread>,
}

/// Why one more is not contained without a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// A budget is used up.
    UsedUp(UsedUp),
    /// Whether it is could not be read: then nothing is contained, as without guardrails.
    Unread(Unread),
}

impl Bound {
    /// In words.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::UsedUp(used_up) => used_up.reason.clone(),
            Self::Unread(unread) => unread.reason.clone(),
        }
    }
}

/// A budget that is used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUp {
    /// What tells it from others: people are paged once for each, in each hour. Fit for a key of the case bucket.
    pub budget: String,
    /// In words.
    pub reason: String,
    /// The cases that used it up; none where it is a fleet's.
    pub cases: Vec<CaseId>,
}

/// What keeps one more containment in `account`, of an instance in `fleet`, from being made without a person. `counted`
/// are the cases of others: what stands already is no further containment.
#[must_use]
pub fn bound(budget: &Budget, counted: &Result<Counted, Unread>, account: &AccountId, fleet: Option<&Fleet>) -> Option<Bound> {
    if budget.counts() {
        let used_up = match counted {
            Ok(counted) => used_up(budget, counted, account),
            Err(unread) => return Some(said("what was contained in the last hour could not be read", unread)),
        };
        if used_up.is_some() {
            return used_up.map(Bound::UsedUp);
        }
    }
    let (share, fleet) = (budget.fleet_share?, fleet?);
    let group = printable(&fleet.group, 80);
    let (size, out) = match &fleet.size {
        Ok(size) => *size,
        Err(unread) => return Some(said(&format!("Auto Scaling group {group} could not be read"), unread)),
    };
    if out < most(share, size) {
        return None;
    }
    let named = sha256(format!("{account}/{}", fleet.group).as_bytes());
    Some(Bound::UsedUp(UsedUp {
        budget: format!("fleet-{}", &named[..16]),
        reason: format!(
            "the budget of Auto Scaling group {group} is used up: {out} of its {size} instances are on standby already \
             (fleet_share = {share})"
        ),
        cases: Vec::new(),
    }))
}

fn said(what: &str, unread: &Unread) -> Bound {
    Bound::Unread(Unread { reason: format!("{what}: {}", printable(&unread.reason, 200)), passing: unread.passing })
}

fn used_up(budget: &Budget, counted: &Counted, account: &AccountId) -> Option<UsedUp> {
    let here: Vec<CaseId> = counted.iter().filter(|(_, of)| *of == account).map(|(case, _)| case.clone()).collect();
    let full = |limit: Option<u32>, used: usize| limit.filter(|limit| used >= usize::try_from(*limit).unwrap_or(usize::MAX));
    if let Some(limit) = full(budget.total, counted.len()) {
        let reason = format!("the budget of {limit} containments an hour in all accounts is used up");
        return Some(UsedUp { budget: "total".to_owned(), reason, cases: counted.keys().cloned().collect() });
    }
    let limit = full(budget.per_account, here.len())?;
    let reason = format!("the budget of {limit} containments an hour in account {account} is used up");
    Some(UsedUp { budget: format!("account-{account}"), reason, cases: here })
}

/// How many instances of a group may be out of service: one always.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a share of at most 1 of a group of some hundred instances"
)]
fn most(share: f64, size: usize) -> usize {
    ((share * size as f64).floor() as usize).max(1)
}
