//! Undoing steps: what a release undoes, and the calls that do. Only `release` is built with them.

/// What the release of a case makes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is undone.
    Undo,
    /// It is undone only for who asks for it by name; why not for everybody.
    ByName(&'static str),
    /// It stays as it is; why.
    Stays(&'static str),
}

#[cfg(feature = "release")]
mod calls {
    use super::super::{Applied, Step};
    use crate::aws::{Compute, Fault};

    impl Step {
        /// Undoes a step on an identity. What has to stay after it ([`Self::hold`]) is put before. As idempotent as
        /// [`Self::apply_to_identity`].
        ///
        /// # Errors
        /// With what AWS said; or that this step is not undone by a machine.
        pub async fn revert_on_identity(&self, iam: &aws_sdk_iam::Client) -> Result<Applied, Fault> {
            match self {
                Self::DenyAll(step) => step.revert(iam).await,
                Self::AttachDenyAll(step) => step.revert(iam).await,
                Self::DenyByBoundary(step) => step.revert(iam).await,
                Self::JoinDenyGroup(step) => step.revert(iam).await,
                Self::AttachQuarantineMarker(step) => step.revert(iam).await,
                Self::DeactivateKey(step) => step.revert(iam).await,
                Self::DeactivateServiceCredential(step) => step.revert(iam).await,
                Self::DeactivateSshKey(step) => step.revert(iam).await,
                Self::DeactivateSigningCertificate(step) => step.revert(iam).await,
                // What holds the older sessions has taken their place.
                Self::DenySession(_) | Self::RevokeOlderSessions(_) => Ok(Applied::already()),
                other => Err(other.not_of_this_function()),
            }
        }

        /// Undoes a step on an instance. As idempotent.
        ///
        /// # Errors
        /// As above.
        pub async fn revert_on_instance(&self, aws: &Compute) -> Result<Applied, Fault> {
            match self {
                Self::IsolateInterface(step) => step.revert(aws).await,
                Self::ProtectFromTermination(step) => step.revert(aws).await,
                Self::ProtectFromStop(step) => step.revert(aws).await,
                Self::StopOnShutdown(step) => step.revert(aws).await,
                Self::KeepVolume(step) => step.revert(aws).await,
                Self::ProtectFromScaleIn(step) => step.revert(aws).await,
                Self::EnterStandby(step) => step.revert(aws).await,
                Self::DetachFromAutoScaling(step) => step.revert(aws).await,
                Self::DeregisterTarget(step) => step.revert(aws).await,
                Self::DeregisterFromLoadBalancer(step) => step.revert(aws).await,
                Self::DisassociateAddress(step) => step.revert(aws).await,
                Self::RemovePublicAddress(step) => step.revert(aws).await,
                Self::LowerConnectionTimeout(step) => step.revert(aws).await,
                other => other.revert_on_identity(&aws.iam).await,
            }
        }
    }
}
