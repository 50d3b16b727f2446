//! From the words a detector uses for a principal to a target (CONTAINMENT A8, A9).

use super::json::Json;
use crate::finding::{Elsewhere, ElsewhereSort, RoleSession, Target, User};
use crate::id::{AccessKeyId, AccountId, Arn, InstanceId, Partition, PrincipalName, SessionName, UniqueId};
use crate::text::printable;

/// A principal in the detector's words.
#[derive(Debug, Default)]
pub(super) struct Claim {
    /// `IAMUser`, `AssumedRole`, … in any feed's spelling.
    pub(super) user_type: Option<String>,
    /// The user name, or for a role session the role name.
    pub(super) user_name: Option<String>,
    /// `AIDA…`, `AROA…`, `AROA…:session`, or something else for other types.
    pub(super) principal_id: Option<String>,
    /// The key used.
    pub(super) key: Option<String>,
    /// The instance the credentials were made for, from the finding's instance details.
    pub(super) instance: Option<String>,
    /// The caller's account, where it is not the finding's.
    pub(super) remote_account: Option<String>,
    /// Who asked for the session, where the detector says and is sure: the target then, in place of the session.
    pub(super) issuer: Option<Target>,
}

/// Adds a target, unless the same one is there already; then the two mentions become one that says all that
/// either says. A key and the user it belongs to, or a role and one of its sessions, are one principal in whichever
/// order they come: the bare mention must neither hide the unique id nor widen one session into the whole role. An
/// instance is one by its id.
pub(super) fn add_target(targets: &mut Vec<Target>, target: Target) {
    match targets.iter_mut().find(|known| same_principal(known, &target)) {
        Some(known) => merge(known, target),
        None => targets.push(target),
    }
}

fn merge(known: &mut Target, other: Target) {
    match (known, other) {
        (Target::User(known), Target::User(other)) => {
            known.unique_id = known.unique_id.take().or(other.unique_id);
            // Of two keys the long-term one is the better proof of whose they are.
            known.key = known.key.take().filter(|key| key.is_long_term() || other.key.is_none()).or(other.key);
        }
        (Target::RoleSession(known), Target::RoleSession(other)) => {
            known.role_id = known.role_id.take().or(other.role_id);
            known.session = known.session.take().or(other.session);
            known.instance = known.instance.take().or(other.instance);
            known.key = known.key.take().or(other.key);
        }
        (Target::Root { key }, Target::Root { key: other }) => *key = key.take().or(other),
        (known @ Target::AccessKey { .. }, user @ Target::User(_)) => *known = user,
        (Target::Instance(known), Target::Instance(other)) => known.profile = known.profile.take().or(other.profile),
        _ => {}
    }
}

pub(super) fn same_principal(known: &Target, other: &Target) -> bool {
    match (known, other) {
        (Target::User(known), Target::User(other)) => {
            same_name(&known.name, &other.name) && agree(known.unique_id.as_ref(), other.unique_id.as_ref())
        }
        (Target::RoleSession(known), Target::RoleSession(other)) => {
            same_name(&known.role, &other.role)
                && agree(known.role_id.as_ref(), other.role_id.as_ref())
                && agree(known.session.as_ref(), other.session.as_ref())
        }
        (Target::Root { .. }, Target::Root { .. }) => true,
        (Target::Instance(known), Target::Instance(other)) => known.id == other.id,
        (Target::AccessKey { key }, Target::User(user)) | (Target::User(user), Target::AccessKey { key }) => {
            user.key.as_ref() == Some(key)
        }
        _ => known == other,
    }
}

/// IAM names are unique without regard to case (CONTAINMENT A9).
fn same_name(one: &PrincipalName, other: &PrincipalName) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

/// Whether two mentions can be of one thing: equal, or one of them silent.
fn agree<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// A user or role that is named by its ARN; its unique id may stand beside it.
pub(super) struct Named {
    /// The ARN, as the detector writes it.
    pub(super) arn: String,
    /// `AIDA…` or `AROA…`, where the detector gives it.
    pub(super) unique_id: Option<String>,
}

impl Named {
    pub(super) fn user(self, account: &AccountId, partition: Partition) -> Target {
        self.target("user/", "IAMUser", account, partition)
    }

    pub(super) fn role(self, account: &AccountId, partition: Partition) -> Target {
        self.target("role/", "Role", account, partition)
    }

    /// The account of the ARN must be the finding's, and so must its partition: a finding is believed about its own
    /// account only (CONTAINMENT H1).
    fn target(self, prefix: &str, user_type: &str, account: &AccountId, partition: Partition) -> Target {
        let arn = Arn::parse(&self.arn).ok().filter(|arn| arn.service() == "iam" && arn.resource().starts_with(prefix));
        let Some(arn) = arn else {
            let label = printable(&self.arn, 80);
            return Target::Elsewhere(Elsewhere { sort: ElsewhereSort::Unnamed, label, key: None });
        };
        let own = arn.account() == account.as_str() && arn.partition() == partition;
        Claim {
            user_type: Some(user_type.to_owned()),
            user_name: arn.resource().rsplit('/').next().map(str::to_owned),
            principal_id: self.unique_id,
            remote_account: (!own).then(|| arn.account().to_owned()),
            ..Claim::default()
        }
        .target()
    }
}

/// The roles an `awsApiCallAction` says were assumed. Only a call that went through counts.
pub(super) fn assumed_roles(call: Json<'_>) -> Vec<Arn> {
    let is_assumption = call.text("api").is_some_and(|api| api.starts_with("AssumeRole"));
    if !is_assumption || call.text("errorCode").is_some() {
        return Vec::new();
    }
    // A map from resource type to ARN, of which only the ARNs say for sure what they are.
    let affected = call.at("affectedResources").and_then(|map| map.0.as_object());
    let mut roles: Vec<Arn> = affected
        .into_iter()
        .flat_map(|map| map.values())
        .filter_map(|arn| Arn::parse(arn.as_str()?).ok())
        .filter(|arn| arn.service() == "iam" && arn.resource().starts_with("role/"))
        .collect();
    roles.sort();
    roles.dedup();
    roles
}

impl Claim {
    /// The target accused. A type not known here is never guessed at.
    pub(super) fn target(self) -> Target {
        if let Some(account) = self.remote_account.clone() {
            return self.elsewhere(ElsewhereSort::ForeignAccount, Some(&account));
        }
        let spelling: String = self.user_type.iter().flat_map(|text| text.chars()).filter(char::is_ascii_alphanumeric).collect();
        match spelling.to_ascii_lowercase().as_str() {
            "iamuser" => self.user(),
            "assumedrole" | "role" | "iamrole" => self.role_session(),
            // An IAM user may also be called "Root": only the type decides (CONTAINMENT A8).
            "root" => Target::Root { key: self.key() },
            // Its name is the issuer's choice, never an IAM user's (CONTAINMENT A8).
            "federateduser" => match self.issuer {
                Some(issuer) => issuer,
                None => self.elsewhere(ElsewhereSort::FederatedUser, None),
            },
            "samluser" => self.elsewhere(ElsewhereSort::SamlUser, None),
            "webidentityuser" => self.elsewhere(ElsewhereSort::WebIdentityUser, None),
            "awsaccount" if self.is_anonymous() => self.elsewhere(ElsewhereSort::Anonymous, None),
            "awsaccount" => self.elsewhere(ElsewhereSort::ForeignAccount, None),
            "awsservice" => self.elsewhere(ElsewhereSort::AwsService, None),
            "directory" | "identitycenteruser" => self.elsewhere(ElsewhereSort::DirectoryUser, None),
            // A feed may name the key alone; IAM knows whose it is (CONTAINMENT A8).
            "" => match self.key().filter(AccessKeyId::is_long_term) {
                Some(key) => Target::AccessKey { key },
                None => self.elsewhere(ElsewhereSort::Unnamed, None),
            },
            _ => {
                let words = [&self.user_type, &self.user_name, &self.principal_id];
                let label = words.into_iter().flatten().cloned().collect::<Vec<_>>().join(" ");
                self.elsewhere(ElsewhereSort::UnknownType, Some(&label))
            }
        }
    }

    fn user(self) -> Target {
        let Some(name) = self.name() else { return self.elsewhere(ElsewhereSort::Unnamed, None) };
        let unique_id =
            self.principal_id.as_deref().and_then(|id| UniqueId::parse(id).ok()).filter(|id| id.as_str().starts_with("AIDA"));
        Target::User(User { name, unique_id, key: self.key() })
    }

    fn role_session(self) -> Target {
        let Some(role) = self.name() else { return self.elsewhere(ElsewhereSort::Unnamed, None) };
        // Session names cannot hold a colon, so the first one parts them (CONTAINMENT A9).
        let (id, session) = match self.principal_id.as_deref().map(|id| id.split_once(':').unwrap_or((id, ""))) {
            Some((id, session)) => (Some(id), Some(session).filter(|session| !session.is_empty())),
            None => (None, None),
        };
        // A session that cannot be named in a policy must not widen into the whole role.
        let Ok(session) = session.map(SessionName::parse).transpose() else {
            return self.elsewhere(ElsewhereSort::Unnamed, None);
        };
        Target::RoleSession(RoleSession {
            role,
            role_id: id.and_then(|id| UniqueId::parse(id).ok()).filter(|id| id.as_str().starts_with("AROA")),
            session,
            instance: self.instance.as_deref().and_then(|id| InstanceId::parse(id).ok()),
            key: self.key(),
        })
    }

    fn elsewhere(self, sort: ElsewhereSort, label: Option<&str>) -> Target {
        let key = self.key();
        let label = label.map(str::to_owned).or(self.user_name).or(self.principal_id).or(self.user_type).unwrap_or_default();
        Target::Elsewhere(Elsewhere { sort, label: printable(&label, 80), key })
    }

    fn is_anonymous(&self) -> bool {
        [&self.user_name, &self.principal_id].into_iter().flatten().any(|text| text.eq_ignore_ascii_case("ANONYMOUS_PRINCIPAL"))
    }

    fn name(&self) -> Option<PrincipalName> {
        PrincipalName::parse(self.user_name.as_deref()?).ok()
    }

    fn key(&self) -> Option<AccessKeyId> {
        AccessKeyId::parse(self.key.as_deref()?).ok()
    }
}
