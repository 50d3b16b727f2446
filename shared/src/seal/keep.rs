//! The case itself in the forensics account: copied there once a copy of its evidence is sealed, so that what says what
//! the evidence is lies out of the responder account's reach as well.

use super::case::Case;
use super::{Delivery, Work};
use crate::aws::{Clients, Fault, FaultClass};
use crate::case::sealed::SealRecord;
use crate::case::store::CaseStore;
use crate::case::{Object, verify_chain};
use crate::config::Forensics;
use crate::error::Retry;
use crate::report::sealed::{CaseKept, SealResult};
use crate::text::{printable, sha256};

impl Delivery<'_> {
    /// Puts the case, as far as it is written, into the bucket of the forensics account, if there is one. That it cannot
    /// be is recorded and said, and keeps the copy as sealed as it is.
    pub(super) async fn keep(&self, work: &Work<'_>, case: &mut Case, mut result: SealResult) -> Result<SealResult, Retry> {
        let Some((forensics, clients)) = &self.function.forensics else { return Ok(result) };
        let Some(bucket) = &forensics.case_bucket else { return Ok(result) };
        let (bucket, after) = (bucket.clone(), work.snapshot.id.clone());
        if case.sealed(&after).is_none() {
            return Ok(result);
        }
        let kept = |objects| SealRecord::Kept { bucket: bucket.clone(), after: after.clone(), objects };
        if !case.knows(&kept(Vec::new())) {
            let refused = match case.not_kept(&bucket, &after, &self.actor.request_id) {
                Some(reason) => Some(reason),
                None => match self.put_case(case, (forensics, clients), &bucket).await {
                    Ok(objects) => {
                        self.record(case, kept(objects)).await?;
                        None
                    }
                    Err(fault) if fault.is_retryable() => {
                        return Err(case.failed("keeping the case in the forensics account", &fault));
                    }
                    Err(fault) => {
                        let reason = printable(&fault.to_string(), 300);
                        let fact = SealRecord::NotKept { bucket: bucket.clone(), after: after.clone(), reason: reason.clone() };
                        self.record(case, fact).await?;
                        Some(reason)
                    }
                },
            };
            if let Some(reason) = refused {
                result.missing.push(format!("the case in s3://{bucket}/cases/{}/ ({reason})", case.id));
                return Ok(result);
            }
        }
        result.kept = Some(CaseKept { objects: case.kept_in(&bucket).len(), bucket });
        Ok(result)
    }

    /// Writes what the bucket does not have yet, and says what that was. A case that does not hold together is not
    /// written where nothing can be put right.
    async fn put_case(
        &self,
        case: &Case,
        (forensics, clients): (&Forensics, &Clients),
        bucket: &str,
    ) -> Result<Vec<Object>, Fault> {
        let objects = self.function.store.whole(&case.id).await?;
        verify_chain(&case.id, &objects).map_err(|broken| Fault {
            code: "BrokenChain".to_owned(),
            message: broken.to_string(),
            class: FaultClass::Permanent,
        })?;
        let there = case.kept_in(bucket);
        let new: Vec<(String, Vec<u8>)> = objects.into_iter().filter(|(key, _)| !there.contains_key(key)).collect();
        let added = new.iter().map(|(key, bytes)| Object { key: key.clone(), sha256: sha256(bytes) }).collect();
        let access = clients.access(&forensics.account).await?;
        CaseStore::new(access.s3(), bucket.to_owned()).add(&forensics.account, new).await?;
        Ok(added)
    }
}
