//! What a detector said, normalised: one type whatever the source. A finding is a claim, not evidence.

use serde::{Deserialize, Serialize};

use crate::id::{
    AccessKeyId, AccountId, Arn, CaseId, FindingId, InstanceId, Partition, PrincipalName, Region, SessionName, UniqueId,
};
use crate::text::sha256;
use crate::timestamp::Timestamp;

/// One finding of one detector, normalised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The canonical id: the same for the GuardDuty event, its ASFF copy and its OCSF copy (CONTAINMENT D3).
    pub id: FindingId,
    /// The detector's name for what happened, such as `UnauthorizedAccess:IAMUser/MaliciousIPCaller`.
    #[serde(rename = "type")]
    pub finding_type: String,
    /// GuardDuty's scale: 1.0 to 3.9 low, to 6.9 medium, to 8.9 high, 9.0 and more critical (CONTAINMENT D1).
    pub severity: f64,
    /// The account of the affected resource: `detail.accountId`, never the envelope's (CONTAINMENT D1).
    pub account: AccountId,
    /// The Region the finding was made in.
    pub region: Region,
    /// Which feed brought it.
    pub source: Source,
    /// The product that made it, where the feed names one (`arn:aws:securityhub:…:product/aws/guardduty`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub product: Option<String>,
    /// The detector's headline. Attacker-influenced text, made printable.
    pub title: String,
    /// When the activity was first seen; the finding's creation where the detector does not say.
    pub first_seen: Timestamp,
    /// When the activity was last seen.
    pub last_seen: Timestamp,
    /// Who or what is accused, in the order the finding names them.
    pub targets: Vec<Target>,
    /// Roles the accused is said to have assumed: their sessions outlive the accused (CONTAINMENT A7). Named by the
    /// detector, not looked up.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub assumed_roles: Vec<Arn>,
    /// Whether a person asked for this by pressing the button.
    pub trigger: Trigger,
}

impl Finding {
    /// The partition its Region lies in.
    #[must_use]
    pub fn partition(&self) -> Partition {
        Partition::of_region(&self.region)
    }

    /// The detector and finding id at GuardDuty, when the canonical id is a GuardDuty finding ARN:
    /// `arn:aws:guardduty:R:ACCT:detector/D/finding/ID`.
    #[must_use]
    pub fn at_guardduty(&self) -> Option<AtGuardDuty> {
        let arn = Arn::parse(self.id.as_str()).ok()?;
        let mut resource = arn.resource().split('/');
        let parts = (resource.next()?, resource.next()?, resource.next()?, resource.next()?, resource.next());
        match parts {
            ("detector", detector, "finding", finding, None) if arn.service() == "guardduty" && is_hex(detector) => {
                Some(AtGuardDuty {
                    detector: detector.to_owned(),
                    finding: finding.to_owned(),
                    region: Region::parse(arn.region()).ok()?,
                    account: AccountId::parse(arn.account()).ok()?,
                })
            }
            _ => None,
        }
    }
}

impl CaseId {
    /// The id of the case that `finding` opens for the target filed under `target_key`: the date of the first sighting
    /// and 8 hex digits of SHA-256(target key ‖ finding id). Deterministic, so a retry computes the same one (DESIGN
    /// §5.2).
    #[must_use]
    pub fn of(finding: &Finding, target_key: &str) -> Self {
        let digest = sha256(format!("{target_key}{}", finding.id).as_bytes());
        Self::of_day(&finding.first_seen.to_day(), &digest)
    }

    /// The same for a target that was contained before and released: another case than `released`, as deterministic.
    #[must_use]
    pub fn after(released: &Self, finding: &Finding, target_key: &str) -> Self {
        let digest = sha256(format!("{target_key}{}{released}", finding.id).as_bytes());
        Self::of_day(&finding.first_seen.to_day(), &digest)
    }
}

/// A detector's id becomes part of a request's path: nothing but what GuardDuty makes may.
fn is_hex(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where GuardDuty keeps a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtGuardDuty {
    /// The detector id.
    pub detector: String,
    /// The finding id.
    pub finding: String,
    /// The Region of the detector.
    pub region: Region,
    /// The account of the detector.
    pub account: AccountId,
}

/// The feed a finding arrived by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A GuardDuty finding event.
    #[serde(rename = "guardduty")]
    GuardDuty,
    /// Security Hub, in the AWS Security Finding Format.
    SecurityHub,
    /// The new Security Hub, in OCSF.
    SecurityHubV2,
    /// AWS Health.
    Health,
    /// IAM Access Analyzer.
    AccessAnalyzer,
    /// Macie.
    Macie,
}

/// What made the finding arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A rule matched the detector's event.
    Event,
    /// A person chose the finding in Security Hub and pressed a button: which one, [`Trigger::button`] says.
    Button {
        /// The ARN of the custom action, from the event's `resources[0]`.
        action: String,
    },
    /// A person approved the plan proposed in a case, by invoking the function.
    Approval {
        /// The case.
        case: CaseId,
        /// The digest of the plan.
        plan: String,
    },
}

impl Trigger {
    /// Whether a person asked for this.
    #[must_use]
    pub fn is_a_persons(&self) -> bool {
        match self {
            Self::Event => false,
            Self::Button { .. } | Self::Approval { .. } => true,
        }
    }

    /// Which of our buttons was pressed; none for an event of a detector, and for an action that is none of ours.
    #[must_use]
    pub fn button(&self) -> Option<Button> {
        match self {
            Self::Event | Self::Approval { .. } => None,
            Self::Button { action } => Button::of(&Arn::parse(action).ok()?),
        }
    }
}

/// The custom actions that Tourniquet puts into Security Hub, and what each asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Button {
    /// Contain what the finding accuses, as far as the guardrails' ceiling lets.
    Contain,
    /// Undo the case that contains it.
    Release,
    /// Plan, remember and ask; change nothing.
    Propose,
}

/// What the resource part of an action's ARN begins with.
const CUSTOM_ACTION: &str = "action/custom/";

impl Button {
    /// Every button, in the order they are made in.
    pub const ALL: [Self; 3] = [Self::Contain, Self::Release, Self::Propose];

    /// Its id in Security Hub: at most 20 letters and digits. It is part of the ARN, so it never changes.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Contain => "TourniquetContain",
            Self::Release => "TourniquetRelease",
            Self::Propose => "TourniquetPropose",
        }
    }

    /// What the console shows in its list of actions: at most 20 characters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Contain => "Contain",
            Self::Release => "Release",
            Self::Propose => "Propose",
        }
    }

    /// The button that an action's ARN names, in whatever account and Region.
    #[must_use]
    pub fn of(action: &Arn) -> Option<Self> {
        let id = action.resource().strip_prefix(CUSTOM_ACTION).filter(|_| action.service() == "securityhub")?;
        Self::ALL.into_iter().find(|button| button.id() == id)
    }

    /// The ARN of its action in one account and Region.
    #[must_use]
    pub fn action(self, account: &AccountId, region: &Region) -> String {
        format!("arn:{}:securityhub:{region}:{account}:{CUSTOM_ACTION}{}", Partition::of_region(region), self.id())
    }
}

/// One thing to contain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    /// An IAM user and every credential it has.
    User(User),
    /// Sessions of an IAM role: one of them where the finding names it, else all older ones.
    RoleSession(RoleSession),
    /// A long-term key named without its user, such as one found in public: whose it is only IAM can say.
    AccessKey {
        /// The key.
        key: AccessKeyId,
    },
    /// The account's root user.
    Root {
        /// The key it used, where the finding names one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<AccessKeyId>,
    },
    /// A principal that no change to an IAM user or role in this account can contain.
    Elsewhere(Elsewhere),
    /// An EC2 instance.
    Instance(Instance),
    /// Something that no function here contains yet.
    Resource {
        /// The detector's resource type.
        resource_type: String,
    },
}

/// An IAM user, as accused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user name the finding gives.
    pub name: PrincipalName,
    /// `AIDA…`; without it nothing is written (CONTAINMENT A9).
    pub unique_id: Option<UniqueId>,
    /// The key the finding names; `ASIA…` for a session of the user (CONTAINMENT A2).
    pub key: Option<AccessKeyId>,
}

/// A role or one of its sessions, as accused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleSession {
    /// The role name the finding gives, without its path.
    pub role: PrincipalName,
    /// `AROA…`; without it nothing is written (CONTAINMENT A9).
    pub role_id: Option<UniqueId>,
    /// The session, where the finding names one.
    pub session: Option<SessionName>,
    /// The instance the credentials belong to, from the finding's instance details: never from the session name,
    /// which whoever assumes the role may choose (CONTAINMENT A9).
    pub instance: Option<InstanceId>,
    /// The key the finding names.
    pub key: Option<AccessKeyId>,
}

/// An EC2 instance, as accused. Its id is never used again for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// The instance profile the finding says it has: a claim that saves a call where it is still true (CONTAINMENT B13).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub profile: Option<Arn>,
}

/// Principals that are real but out of reach of an IAM write in this account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Which sort.
    pub sort: ElsewhereSort,
    /// How the finding names it. Attacker-influenced text, made printable.
    pub label: String,
    /// The key it used, where the finding names one: CloudTrail may know who is behind it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key: Option<AccessKeyId>,
}

/// The sorts of principal out of reach (CONTAINMENT A8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElsewhereSort {
    /// A `GetFederationToken` session: its name is not an IAM user's name.
    FederatedUser,
    /// The subject of a SAML assertion.
    SamlUser,
    /// The subject of a web identity token.
    WebIdentityUser,
    /// Another account, affiliated or not.
    ForeignAccount,
    /// Nobody: an unsigned request.
    Anonymous,
    /// An AWS service.
    AwsService,
    /// A user of a directory or of IAM Identity Center.
    DirectoryUser,
    /// A user type this version does not know: never guessed at.
    UnknownType,
    /// The finding accuses several principals at once: which of them to contain is for a person to say.
    SeveralActors,
    /// The finding is about an identity but names none, or names one that is no valid IAM name.
    Unnamed,
}

impl Target {
    /// The kind, as written in keys, rules and reports.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::User(_) => TargetKind::User,
            Self::RoleSession(_) => TargetKind::RoleSession,
            Self::AccessKey { .. } => TargetKind::AccessKey,
            Self::Root { .. } => TargetKind::Root,
            Self::Elsewhere(_) => TargetKind::Elsewhere,
            Self::Instance(_) => TargetKind::Instance,
            Self::Resource { .. } => TargetKind::Resource,
        }
    }

    /// Whether `contain-identity` is the function for it.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        !matches!(self.kind(), TargetKind::Instance | TargetKind::Resource)
    }

    /// Whether `contain-instance` is the function for it.
    #[must_use]
    pub fn is_instance(&self) -> bool {
        self.kind() == TargetKind::Instance
    }
}

/// The kind of a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// [`Target::User`]
    User,
    /// [`Target::RoleSession`]
    RoleSession,
    /// [`Target::AccessKey`]
    AccessKey,
    /// [`Target::Root`]
    Root,
    /// [`Target::Elsewhere`]
    Elsewhere,
    /// [`Target::Instance`]
    Instance,
    /// [`Target::Resource`]
    Resource,
}

impl TargetKind {
    /// Every kind, in the order of [`Target`].
    pub const ALL: [Self; 7] =
        [Self::User, Self::RoleSession, Self::AccessKey, Self::Root, Self::Elsewhere, Self::Instance, Self::Resource];

    /// The kind, as written in keys, rules and reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::RoleSession => "role_session",
            Self::AccessKey => "access_key",
            Self::Root => "root",
            Self::Elsewhere => "elsewhere",
            Self::Instance => "instance",
            Self::Resource => "resource",
        }
    }
}
