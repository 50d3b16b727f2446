//! What happens to a snapshot, by which one it is: the one taken of the volume, its transit copy, its forensic copy.

use super::case::Case;
use super::hash::Hashed;
use super::{Delivery, Work};
use crate::aws::{Fault, FaultClass, State};
use crate::case::sealed::{Compared, FailedStep, Locked, Role, RootHash, SealRecord, Sealed};
use crate::error::Retry;
use crate::evidence::{FORMAT, Level, Manifest};
use crate::guardrails::EvidenceLock;
use crate::id::AccountId;
use crate::report::sealed::{SealOutcome, SealResult};
use crate::step::{Lock, LockSnapshot};

/// The tag that repeats the root.
const HASH_TAG: &str = "ir:hash";
/// The tag that says what the root proves.
const LEVEL_TAG: &str = "ir:hash-level";

impl Delivery<'_> {
    /// The snapshot taken of a volume: sealed, and its copy for the forensics account begun.
    pub(super) async fn source(&self, work: &Work<'_>, case: &mut Case, lock: &EvidenceLock) -> Result<SealResult, Retry> {
        let mut result = self.sealed(work, case, lock).await?;
        // One that could not be hashed can be copied all the same, and read under the forensics key.
        let is_whole = !case.has_failed(&work.snapshot.id, FailedStep::Create, &self.actor.request_id);
        if let Some((forensics, _)) = self.function.forensics.as_ref().filter(|_| is_whole) {
            let to = (work.place, work.holder, Role::Transit);
            // In governance mode whatever the evidence's: it is no evidence, and in the way a week later.
            let on_its_way = Lock::of(lock.mode).map(|_| Lock::Governance);
            result.copy = self.copy(work, case, to, (forensics, on_its_way)).await?;
        }
        if is_whole {
            result.may_delete = self.retain(work, case).await?;
        }
        Ok(with_failure(result, case))
    }

    /// The copy under the forensics key, in the account of its source: handed over.
    pub(super) async fn transit(&self, work: &Work<'_>, case: &mut Case) -> Result<SealResult, Retry> {
        let mut result = Self::result(work);
        result.outcome = SealOutcome::HandedOver;
        let Some((forensics, clients)) = &self.function.forensics else {
            self.fail(work, case, FailedStep::Share, "no forensics account is configured any more".to_owned()).await?;
            return Ok(with_failure(result, case));
        };
        if !self.is_completed(work, case).await? {
            return Ok(with_failure(result, case));
        }
        if work.snapshot.key.as_deref() != Some(forensics.key.as_str()) {
            let key = work.snapshot.key.as_deref().unwrap_or("no key");
            self.fail(work, case, FailedStep::Share, format!("it is encrypted with {key}, not the forensics key")).await?;
            return Ok(with_failure(result, case));
        }
        let shared = SealRecord::Shared { snapshot: work.snapshot.id.clone(), with: forensics.account.clone() };
        // Sharing anew changes nothing. An answer can have been wrong, which shows where the copy is begun.
        if case.copied(&work.claim.source, Role::Forensic).is_none() {
            match work.place.share(&work.snapshot.id, &forensics.account).await {
                Ok(()) => drop(self.record(case, shared).await?),
                Err(fault) if fault.is_retryable() => return Err(case.failed("handing over a snapshot", &fault)),
                Err(fault) => {
                    self.fail(work, case, FailedStep::Share, fault.to_string()).await?;
                    return Ok(with_failure(result, case));
                }
            }
        }
        let access = match clients.access(&forensics.account).await {
            Ok(access) => access,
            Err(fault) if fault.is_retryable() => return Err(case.failed("entering the forensics account", &fault)),
            Err(fault) => {
                self.fail(work, case, FailedStep::Copy, format!("the forensics role cannot be assumed: {fault}")).await?;
                return Ok(with_failure(result, case));
            }
        };
        let there = crate::aws::Snapshots::new(&access, work.region);
        result.copy = self.copy(work, case, (&there, &forensics.account, Role::Forensic), (forensics, None)).await?;
        Ok(with_failure(result, case))
    }

    /// The copy in the forensics account: hashed again, compared with its source, sealed, and its case kept beside it.
    pub(super) async fn forensic(&self, work: &Work<'_>, case: &mut Case, lock: &EvidenceLock) -> Result<SealResult, Retry> {
        let mut result = self.sealed(work, case, lock).await?;
        if result.compared.as_ref().is_some_and(|compared| compared.same_content == Some(false)) {
            let reason = format!("the content of {} and of its source {} differ", work.snapshot.id, work.claim.source);
            self.fail(work, case, FailedStep::Compare, reason).await?;
        } else if result.compared.as_ref().is_some_and(Compared::agrees) && case.failure(&work.snapshot.id).is_none() {
            result.spent = case.copied(&work.claim.source, Role::Transit).and_then(|copy| copy.snapshot);
        }
        // Last, so that what was recorded of this copy goes along.
        let result = self.keep(work, case, result).await?;
        Ok(with_failure(result, case))
    }

    /// Whether a snapshot is whole. One that failed is recorded as failed; one that is not there yet is left to another
    /// delivery.
    async fn is_completed(&self, work: &Work<'_>, case: &mut Case) -> Result<bool, Retry> {
        if case.has_failed(&work.snapshot.id, FailedStep::Create, &self.actor.request_id) {
            return Ok(false);
        }
        let words = [work.cause, work.snapshot.message.as_deref()];
        match work.snapshot.state {
            // What EC2 says now counts: of a set that failed some may be whole.
            State::Completed => Ok(true),
            State::Pending if work.reference.completed => {
                let message = format!("{} is not completed yet", work.snapshot.id);
                let fault = Fault { code: "Pending".to_owned(), message, class: FaultClass::Retryable };
                Err(case.failed("reading a snapshot", &fault))
            }
            _ => {
                let mut why: Vec<&str> = words.into_iter().flatten().collect();
                why.dedup();
                let why = if why.is_empty() { "EC2 does not say why".to_owned() } else { why.join("; ") };
                self.fail(work, case, FailedStep::Create, why).await?;
                Ok(false)
            }
        }
    }

    /// Locks, hashes, tags and records a snapshot, unless the ledger says that this was done, or failed.
    async fn sealed(&self, work: &Work<'_>, case: &mut Case, lock: &EvidenceLock) -> Result<SealResult, Retry> {
        let mut result = Self::result(work);
        if let Some(sealed) = case.sealed(&work.snapshot.id) {
            return Ok(told(result, &sealed));
        }
        if !self.is_completed(work, case).await? {
            return Ok(result);
        }
        // Before it is hashed: what is locked stays while it is read.
        let locked = self.lock(work, lock).await.map_err(|fault| case.failed("locking a snapshot", &fault))?;
        result.locked = Some(locked.clone());
        if case.has_failed(&work.snapshot.id, FailedStep::Hash, &self.actor.request_id) {
            return Ok(result);
        }
        let source = case.sealed(&work.claim.source).filter(|source| source.snapshot != work.snapshot.id);
        let is_content = |hash: &RootHash| hash.level == Level::Content;
        let with_content = source.as_ref().is_some_and(|source| source.hashes.iter().any(is_content));
        let hashed = match self.hash(work, with_content).await {
            Ok(hashed) => hashed,
            Err(fault) if fault.is_retryable() => return Err(case.failed("hashing a snapshot", &fault)),
            Err(fault) => {
                self.fail(work, case, FailedStep::Hash, fault.to_string()).await?;
                return Ok(result);
            }
        };
        let missing = self.tag(work, &hashed).await.map_err(|fault| case.failed("tagging a snapshot", &fault))?;
        let sealed = Sealed {
            snapshot: work.snapshot.id.clone(),
            role: work.claim.role,
            copy_of: (work.claim.role != Role::Source).then(|| work.claim.source.clone()),
            account: work.holder.clone(),
            region: work.region.clone(),
            volume: work.snapshot.volume.clone().filter(|_| work.claim.role == Role::Source),
            instance: work.claim.instance.clone(),
            recorded: work.recorded,
            key: work.snapshot.key.clone(),
            algorithm: FORMAT.to_owned(),
            compared: (work.claim.role != Role::Source)
                .then(|| source.map_or_else(Compared::default, |source| compared(&hashed.file.manifests, &source.hashes))),
            hashes: hashed.file.manifests.iter().map(RootHash::from).collect(),
            without_content: hashed.without_content,
            objects: vec![hashed.object],
            locked,
            missing,
            copied_to: self.copied_to().filter(|_| work.claim.role == Role::Source).cloned(),
        };
        let result = told(result, &sealed);
        self.record(case, SealRecord::Sealed(Box::new(sealed))).await?;
        Ok(result)
    }

    /// Makes sure that a snapshot is locked. That it cannot be is said, and keeps nothing from being sealed.
    async fn lock(&self, work: &Work<'_>, lock: &EvidenceLock) -> Result<Locked, Fault> {
        let Some(mode) = Lock::of(lock.mode) else { return Ok(Locked::NotWanted) };
        let snapshot = work.snapshot.id.clone();
        let wanted = LockSnapshot { region: work.region.clone(), snapshot, mode, days: lock.days };
        let how = format!("{} for {} days", if mode == Lock::Compliance { "compliance" } else { "governance" }, lock.days);
        match work.place.lock(&wanted).await {
            Ok(true) => Ok(Locked::Locked(how)),
            Ok(false) => Ok(Locked::Locked(format!("{how} or better, already"))),
            Err(fault) if fault.is_retryable() => Err(fault),
            Err(fault) => Ok(Locked::NotLocked(fault.to_string())),
        }
    }

    /// Sets the tags that repeat the root. Tags are no proof: that they cannot be set is said, and no more.
    async fn tag(&self, work: &Work<'_>, hashed: &Hashed) -> Result<Vec<String>, Fault> {
        let Some(best) = hashed.file.best() else { return Ok(Vec::new()) };
        let tags = [(HASH_TAG, format!("sha256:{}", best.root_hex())), (LEVEL_TAG, best.level.as_str().to_owned())];
        let tags = tags.map(|(key, value)| (key.to_owned(), value));
        match work.place.tag(&work.snapshot.id, &tags).await {
            Ok(()) => Ok(Vec::new()),
            Err(fault) if fault.is_retryable() => Err(fault),
            Err(fault) => Ok(vec![format!("the tags {HASH_TAG} and {LEVEL_TAG} ({fault})")]),
        }
    }

    /// The forensics account, if there is one.
    fn copied_to(&self) -> Option<&AccountId> {
        self.function.forensics.as_ref().map(|(forensics, _)| &forensics.account)
    }

    fn result(work: &Work<'_>) -> SealResult {
        SealResult {
            case: work.claim.case.clone(),
            snapshot: work.snapshot.id.clone(),
            role: work.claim.role,
            copy_of: (work.claim.role != Role::Source).then(|| work.claim.source.clone()),
            instance: work.claim.instance.clone(),
            account: work.holder.clone(),
            region: work.region.clone(),
            outcome: SealOutcome::Sealed,
            recorded: work.recorded,
            hashes: Vec::new(),
            without_content: None,
            locked: None,
            compared: None,
            missing: Vec::new(),
            copy: None,
            spent: None,
            kept: None,
            may_delete: Vec::new(),
            repeat: false,
        }
    }
}

fn told(result: SealResult, sealed: &Sealed) -> SealResult {
    SealResult {
        hashes: sealed.hashes.clone(),
        without_content: sealed.without_content.clone(),
        locked: Some(sealed.locked.clone()),
        compared: sealed.compared.clone(),
        missing: sealed.missing.clone(),
        recorded: sealed.recorded,
        ..result
    }
}

fn with_failure(result: SealResult, case: &Case) -> SealResult {
    let failure = case.failure(&result.snapshot);
    let outcome = failure.map(|failed| SealOutcome::Failed(format!("{}: {}", failed.step.as_str(), failed.reason)));
    SealResult { outcome: outcome.unwrap_or_else(|| result.outcome.clone()), ..result }
}

/// How the roots of a copy compare with those of its source.
fn compared(copy: &[Manifest], source: &[RootHash]) -> Compared {
    let same = |level: Level| {
        let copy = copy.iter().find(|manifest| manifest.level == level)?;
        let source = source.iter().find(|hash| hash.level == level)?;
        Some(copy.root_hex() == source.root)
    };
    Compared { same_blocks: same(Level::BlockIndex), same_content: same(Level::Content) }
}
