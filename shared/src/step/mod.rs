//! The reversible changes, one file each. A step is data: what it changes, how it is undone, the permissions it
//! needs and the `aws` line a responder would type for it. Adding one is a file here, a variant below and a line
//! where it is planned.

mod attach_deny_all;
mod attach_quarantine_marker;
mod auto_scaling;
mod deactivate_key;
mod deactivate_mfa_device;
mod deactivate_service_credential;
mod deactivate_signing_certificate;
mod deactivate_ssh_key;
mod deny_all;
mod deny_by_boundary;
mod deny_session;
mod deregister_from_load_balancer;
mod deregister_target;
mod detach_from_auto_scaling;
mod disassociate_address;
mod ec2;
mod enter_standby;
mod entity;
mod group_rules;
#[cfg(feature = "instance")]
mod group_rules_calls;
mod hold;
mod isolate_interface;
mod join_deny_group;
mod keep_volume;
mod lock_snapshot;
mod lower_connection_timeout;
mod origin;
mod prepare_isolation_group;
mod protect_from_scale_in;
mod protect_from_stop;
mod protect_from_termination;
mod remove_login_profile;
mod remove_public_address;
mod revert;
mod revoke_older_sessions;
mod snapshot_volumes;
mod stop_on_shutdown;
mod untrack_connections;

use serde::{Deserialize, Serialize};

use crate::id::VpcId;

pub use attach_deny_all::AttachDenyAll;
pub use attach_quarantine_marker::{AttachQuarantineMarker, QUARANTINE_POLICIES};
pub use deactivate_key::DeactivateKey;
pub use deactivate_mfa_device::DeactivateMfaDevice;
pub use deactivate_service_credential::DeactivateServiceCredential;
pub use deactivate_signing_certificate::DeactivateSigningCertificate;
pub use deactivate_ssh_key::DeactivateSshKey;
pub use deny_all::DenyAll;
pub use deny_by_boundary::DenyByBoundary;
pub use deny_session::DenySession;
pub use deregister_from_load_balancer::DeregisterFromLoadBalancer;
pub use deregister_target::DeregisterTarget;
pub use detach_from_auto_scaling::DetachFromAutoScaling;
pub use disassociate_address::DisassociateAddress;
pub use enter_standby::EnterStandby;
pub use entity::{AWS_DENY_ALL, Entity, is_aws_deny_all};
pub use group_rules::{Difference, FoundRule, Opening, difference};
pub use hold::Hold;
pub use isolate_interface::IsolateInterface;
pub use join_deny_group::JoinDenyGroup;
pub use keep_volume::KeepVolume;
pub use lock_snapshot::{Asked, COOL_OFF_HOURS, Lock, LockSnapshot};
pub use lower_connection_timeout::{LowerConnectionTimeout, Timeouts};
pub use origin::{INCIDENT_TAG, Origin};
pub use prepare_isolation_group::{ISOLATION_TAG, PrepareIsolationGroup};
pub use protect_from_scale_in::ProtectFromScaleIn;
pub use protect_from_stop::ProtectFromStop;
pub use protect_from_termination::ProtectFromTermination;
pub use remove_login_profile::RemoveLoginProfile;
pub use remove_public_address::RemovePublicAddress;
pub use revert::Release;
pub use revoke_older_sessions::RevokeOlderSessions;
pub use snapshot_volumes::{INSTANCE_TAG, SnapshotVolumes};
pub use stop_on_shutdown::StopOnShutdown;
pub use untrack_connections::{OPEN_SECONDS, UntrackConnections};

/// What every step says of itself.
pub trait Change {
    /// The step's name in reports.
    const NAME: &'static str;

    /// What it changes, for a person; keys redacted.
    fn on(&self) -> String;

    /// The IAM actions it needs.
    fn permissions(&self) -> &'static [&'static str];

    /// The `aws` line a responder would type.
    fn command(&self) -> String;

    /// How it is undone.
    fn undo(&self) -> Undo;

    /// What the release of its case makes of it.
    fn release(&self) -> Release {
        Release::Undo
    }
}

/// How a step is undone by hand, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The `aws` lines. None where nothing is ours to undo.
    pub commands: Vec<String>,
    /// What the lines do not say.
    pub note: Option<&'static str>,
}

impl Undo {
    fn by(command: String) -> Self {
        Self { commands: vec![command], note: None }
    }

    /// What was so before us is left so.
    fn left() -> Self {
        Self {
            commands: Vec::new(),
            note: Some(
                "AWSDenyAll or the deny group was in place before this case: it stays, somebody else or another case put it there",
            ),
        }
    }

    fn noting(self, note: &'static str) -> Self {
        Self { note: Some(note), ..self }
    }
}

/// Declares the [`Step`] enum over the step types, and passes every question on to them. A step is carried out by IAM
/// or by the services around an instance, so that a function is made of its own steps only.
macro_rules! steps {
    (iam { $($iam:ident),+ $(,)? } compute { $($compute:ident),* $(,)? }) => {
        steps!(@declare $($iam,)+ $($compute,)*);

        impl Step {
            /// Carries out a step on an identity. Naturally idempotent: done twice, it leaves what doing it once leaves.
            ///
            /// # Errors
            /// With what AWS said, and whether a retry could mend it.
            #[cfg(feature = "iam")]
            pub async fn apply_to_identity(&self, iam: &aws_sdk_iam::Client) -> Result<Applied, crate::aws::Fault> {
                match self {
                    $(Self::$iam(step) => step.apply(iam).await,)+
                    #[allow(unreachable_patterns, reason = "there may be no other steps")]
                    other => Err(other.not_of_this_function()),
                }
            }

            /// Carries out a step on an instance. As idempotent.
            ///
            /// # Errors
            /// With what AWS said, and whether a retry could mend it.
            #[cfg(feature = "instance")]
            pub async fn apply_to_instance(&self, aws: &crate::aws::Compute) -> Result<Applied, crate::aws::Fault> {
                match self {
                    $(Self::$compute(step) => step.apply(aws).await,)*
                    Self::DenySession(step) => step.apply(&aws.iam).await,
                    other => Err(other.not_of_this_function()),
                }
            }
        }
    };
    (@declare $($variant:ident,)+) => {
        /// One reversible change.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(tag = "step", rename_all = "snake_case")]
        pub enum Step {
            $(
                #[doc = concat!("See [`", stringify!($variant), "`].")]
                $variant($variant),
            )+
        }

        $(impl From<$variant> for Step {
            fn from(step: $variant) -> Self {
                Self::$variant(step)
            }
        })+

        impl Step {
            /// See [`Change::NAME`].
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$variant as Change>::NAME,)+ }
            }

            /// See [`Change::on`].
            #[must_use]
            pub fn on(&self) -> String {
                match self { $(Self::$variant(step) => step.on(),)+ }
            }

            /// See [`Change::permissions`].
            #[must_use]
            pub fn permissions(&self) -> &'static [&'static str] {
                match self { $(Self::$variant(step) => step.permissions(),)+ }
            }

            /// See [`Change::command`].
            #[must_use]
            pub fn command(&self) -> String {
                match self { $(Self::$variant(step) => step.command(),)+ }
            }

            /// See [`Change::undo`].
            #[must_use]
            pub fn undo(&self) -> Undo {
                match self { $(Self::$variant(step) => step.undo(),)+ }
            }

            /// See [`Change::release`].
            #[must_use]
            pub fn release(&self) -> Release {
                match self { $(Self::$variant(step) => step.release(),)+ }
            }
        }
    };
}

steps! {
    iam {
        DenyAll,
        DenySession,
        RevokeOlderSessions,
        DeactivateKey,
        RemoveLoginProfile,
        DeactivateServiceCredential,
        DeactivateSshKey,
        DeactivateSigningCertificate,
        AttachQuarantineMarker,
        AttachDenyAll,
        DenyByBoundary,
        JoinDenyGroup,
        DeactivateMfaDevice,
    }
    compute {
        PrepareIsolationGroup,
        IsolateInterface,
        ProtectFromTermination,
        ProtectFromStop,
        StopOnShutdown,
        KeepVolume,
        ProtectFromScaleIn,
        EnterStandby,
        DetachFromAutoScaling,
        DeregisterTarget,
        DeregisterFromLoadBalancer,
        DisassociateAddress,
        RemovePublicAddress,
        LowerConnectionTimeout,
        UntrackConnections,
        SnapshotVolumes,
        LockSnapshot,
    }
}

impl Step {
    /// A plan holds the steps of its own kind of target only.
    #[cfg(feature = "iam")]
    fn not_of_this_function(&self) -> crate::aws::Fault {
        crate::aws::Fault {
            code: "NotOfThisFunction".to_owned(),
            message: format!("{} is another function's step", self.name()),
            class: crate::aws::FaultClass::Permanent,
        }
    }

    /// The step with what an earlier one of `done` found out: which isolation group there is for an interface.
    #[must_use]
    pub fn given(&self, done: &[Self]) -> Self {
        let group_of = |vpc: &VpcId| {
            done.iter().find_map(|step| match step {
                Self::PrepareIsolationGroup(prepared) if prepared.vpc == *vpc => prepared.group.clone(),
                _ => None,
            })
        };
        let mut step = self.clone();
        match &mut step {
            Self::IsolateInterface(IsolateInterface { vpc, group, .. })
            | Self::UntrackConnections(UntrackConnections { vpc, group, .. })
                if group.is_none() =>
            {
                *group = group_of(vpc);
            }
            _ => {}
        }
        step
    }
}

/// Whether IAM refuses a policy, a boundary or a membership for want of room: the one refusal that asks for the next
/// rung. A document IAM calls malformed is a fault of ours and is said as such; a permission that is missing is
/// missing for the other rungs' writes too, or was taken away, and a person has to know (CONTAINMENT A19).
#[must_use]
pub fn is_full(code: &str) -> bool {
    code == "LimitExceeded"
}

impl Step {
    /// Whether both change the same thing: a marker whichever version of the policy it names, a revocation whatever
    /// its cut-off, the deny of a session with or without its instance, a boundary whatever it replaces, an interface
    /// whatever its group, the snapshots of a case whatever volumes there were.
    #[must_use]
    pub fn is_same_change(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::AttachQuarantineMarker(step), Self::AttachQuarantineMarker(other)) => step.user == other.user,
            (Self::RemoveLoginProfile(step), Self::RemoveLoginProfile(other)) => step.user == other.user,
            (Self::RevokeOlderSessions(step), Self::RevokeOlderSessions(other)) => step.role == other.role,
            (Self::DenySession(step), Self::DenySession(other)) => step.role == other.role && step.session == other.session,
            (Self::AttachDenyAll(step), Self::AttachDenyAll(other)) => step.principal == other.principal,
            (Self::DenyByBoundary(step), Self::DenyByBoundary(other)) => step.principal == other.principal,
            (Self::JoinDenyGroup(step), Self::JoinDenyGroup(other)) => step.user == other.user && step.group == other.group,
            (Self::PrepareIsolationGroup(step), Self::PrepareIsolationGroup(other)) => step.vpc == other.vpc,
            (Self::IsolateInterface(step), Self::IsolateInterface(other)) => step.interface == other.interface,
            (Self::KeepVolume(step), Self::KeepVolume(other)) => step.instance == other.instance && step.volume == other.volume,
            (Self::DisassociateAddress(step), Self::DisassociateAddress(other)) => step.association == other.association,
            (Self::RemovePublicAddress(step), Self::RemovePublicAddress(other)) => step.interface == other.interface,
            (Self::LowerConnectionTimeout(step), Self::LowerConnectionTimeout(other)) => step.interface == other.interface,
            (Self::UntrackConnections(step), Self::UntrackConnections(other)) => step.interface == other.interface,
            (Self::SnapshotVolumes(step), Self::SnapshotVolumes(other)) => {
                step.instance == other.instance && step.origin.case == other.origin.case
            }
            (Self::LockSnapshot(step), Self::LockSnapshot(other)) => step.snapshot == other.snapshot,
            (Self::DeactivateMfaDevice(step), Self::DeactivateMfaDevice(other)) => {
                step.user == other.user && step.serial == other.serial
            }
            _ => self == other,
        }
    }

    /// Whether undoing this one leaves nothing to undo of `later`, which changed the same thing again.
    #[must_use]
    pub fn is_undone_with(&self, later: &Self) -> bool {
        match (self, later) {
            (Self::DisassociateAddress(step), Self::DisassociateAddress(later)) => step.allocation == later.allocation,
            _ => false,
        }
    }

    /// Whether it was so before us, and stays so when everything else is undone.
    #[must_use]
    pub fn was_before(&self) -> bool {
        match self {
            Self::AttachDenyAll(step) => step.before,
            Self::DenyByBoundary(step) => step.before,
            Self::JoinDenyGroup(step) => step.before,
            Self::IsolateInterface(step) => step.was_before(),
            _ => false,
        }
    }

    /// Whether it is offered and not promised: an instance type or an account may not know it.
    #[must_use]
    pub fn is_best_effort(&self) -> bool {
        matches!(self, Self::LowerConnectionTimeout(_) | Self::UntrackConnections(_))
    }

    /// Whether this one, of two that change the same thing, denies more.
    #[must_use]
    pub fn reaches_further(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::RevokeOlderSessions(step), Self::RevokeOlderSessions(other)) => step.cutoff > other.cutoff,
            (Self::DenySession(step), Self::DenySession(other)) => step.instance.is_some() && other.instance.is_none(),
            _ => false,
        }
    }
}

/// AWS's answer to a step.
#[cfg(feature = "iam")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Whether anything was changed now; else it was so already.
    pub changed: bool,
    /// AWS's request id of the write.
    pub request_id: Option<String>,
    /// The step as it was carried out, where that was not known before.
    pub as_done: Option<Step>,
}

#[cfg(feature = "iam")]
impl Applied {
    fn changed(output: &impl aws_types::request_id::RequestId) -> Self {
        Self { changed: true, request_id: output.request_id().map(str::to_owned), as_done: None }
    }

    /// The answer to a change of a credential. One that is gone is as dead as it can be.
    fn unless_gone<O, E>(
        answer: Result<O, aws_sdk_iam::error::SdkError<E, aws_smithy_runtime_api::client::orchestrator::HttpResponse>>,
    ) -> Result<Self, crate::aws::Fault>
    where
        O: aws_types::request_id::RequestId,
        E: aws_sdk_iam::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match answer {
            Ok(output) => Ok(Self::changed(&output)),
            Err(error) if crate::aws::is_no_such_entity(&error) => Ok(Self::already()),
            Err(error) => Err(error.into()),
        }
    }

    fn already() -> Self {
        Self { changed: false, request_id: None, as_done: None }
    }
}
