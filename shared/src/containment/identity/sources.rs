//! Where a role's sessions come from, from what IAM alone tells: the trust policy and the instance profiles. A session
//! that is denied is made anew by its source (CONTAINMENT A6, A9, A17).

use serde_json::Value;

use super::observed::ObservedRole;
use crate::text::printable;

/// What kind of source, and so what a person does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Instances,
    Lambda,
    Ecs,
    EksPodIdentity,
    EksOidc,
    GitHubActions,
    OtherOidc,
    Saml,
    RolesAnywhere,
}

impl Source {
    fn of_service(service: &str) -> Option<Self> {
        // `ec2.amazonaws.com.cn` in China.
        match service.trim_end_matches(".cn").strip_suffix(".amazonaws.com")? {
            "ec2" => Some(Self::Instances),
            "lambda" => Some(Self::Lambda),
            "ecs-tasks" => Some(Self::Ecs),
            "pods.eks" => Some(Self::EksPodIdentity),
            "rolesanywhere" => Some(Self::RolesAnywhere),
            _ => None,
        }
    }

    /// Of a `Federated` principal: a provider's ARN, or the host of one of the providers that need none.
    fn of_federated(principal: &str) -> Self {
        if principal.contains(":saml-provider/") {
            return Self::Saml;
        }
        let host = principal.split_once(":oidc-provider/").map_or(principal, |(_, host)| host);
        if host.starts_with("oidc.eks.") {
            Self::EksOidc
        } else if host.starts_with("token.actions.githubusercontent.com") {
            Self::GitHubActions
        } else {
            Self::OtherOidc
        }
    }

    /// How its sessions are called in the blast radius.
    fn sessions(self) -> &'static str {
        match self {
            Self::Instances => "EC2 instances",
            Self::Lambda => "Lambda functions",
            Self::Ecs => "ECS tasks",
            Self::EksPodIdentity => "pods, by EKS Pod Identity",
            Self::EksOidc => "pods, by a cluster's OIDC provider",
            Self::GitHubActions => "GitHub Actions workflows",
            Self::OtherOidc => "web identities of an OIDC provider",
            Self::Saml => "people signed in by SAML",
            Self::RolesAnywhere => "holders of certificates, by IAM Roles Anywhere",
        }
    }

    /// What a person does about it.
    fn next_step(self) -> &'static str {
        match self {
            Self::Instances => {
                "EC2: an instance keeps serving its cached credentials until they rotate, and serves new ones to whoever is on \
                 it. Isolate the compromised instance; give the others new credentials by associating the profile anew."
            }
            Self::Lambda => {
                "Lambda: warm environments keep their credentials. Force new ones with update-function-configuration, and check \
                 the function's code, layers and environment variables for changes first."
            }
            Self::Ecs => {
                "ECS: stop the tasks that run as this role, check the task definition and its image for changes, then force a \
                 new deployment."
            }
            Self::EksPodIdentity | Self::EksOidc => {
                "EKS: a pod gets a new session as long as its service account may. Delete the pod, check who can create pods \
                 under that service account, and take the role off it until then."
            }
            Self::GitHubActions => {
                "GitHub Actions: the next run of a workflow gets a new session. Disable the workflow, check the repository and \
                 its secrets, and check the condition on `sub` in the trust policy."
            }
            Self::OtherOidc => {
                "OIDC: the provider vouches for whoever holds its tokens. Stop the source there, and check the OIDC providers of \
                 this account for ones added or changed (iam list-open-id-connect-providers)."
            }
            Self::Saml => {
                "SAML: disable the person at the identity provider, or the next assertion opens a new session; check the SAML \
                 provider's metadata for changes (iam get-saml-provider)."
            }
            Self::RolesAnywhere => {
                "Roles Anywhere: the certificate gets a new session. Disable the profile or the trust anchor (rolesanywhere \
                 disable-profile, disable-trust-anchor) or import a CRL that names the certificate (rolesanywhere import-crl), \
                 and check for trust anchors nobody knows (rolesanywhere list-trust-anchors)."
            }
        }
    }
}

/// What the trust policy and the instance profiles say of a role.
pub(super) struct Sources {
    /// Who uses it, for the blast radius.
    pub(super) users: String,
    /// Where its sessions come from, for the blast radius.
    pub(super) sessions: Option<String>,
    /// What to do about each source.
    pub(super) next_steps: Vec<String>,
}

/// Who uses a role and where its sessions come from, as far as IAM alone tells.
pub(super) fn sources(role: &ObservedRole) -> Sources {
    let mut users: Vec<String> =
        role.instance_profiles.iter().map(|profile| format!("instance profile {}", printable(profile, 80))).collect();
    let mut kinds: Vec<Source> = role.instance_profiles.first().map(|_| Source::Instances).into_iter().collect();
    let policy = serde_json::from_str::<Value>(&role.trust_policy).ok();
    for statement in policy.iter().filter_map(|policy| policy.get("Statement")).flat_map(elements) {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        for (kind, principals) in statement.get("Principal").and_then(Value::as_object).into_iter().flatten() {
            for principal in elements(principals).filter_map(Value::as_str) {
                users.push(format!("trusts {}", printable(principal, 100)));
                kinds.extend(match kind.as_str() {
                    "Service" if allows => Source::of_service(principal),
                    "Federated" if allows => Some(Source::of_federated(principal)),
                    _ => None,
                });
            }
        }
    }
    users.sort();
    users.dedup();
    kinds.sort();
    kinds.dedup();
    let mut next_steps: Vec<_> = kinds.iter().map(|kind| kind.next_step().to_owned()).collect();
    next_steps.dedup();
    let sessions: Vec<_> = kinds.iter().map(|kind| kind.sessions()).collect();
    Sources {
        users: if users.is_empty() { "its users could not be told from IAM".to_owned() } else { users.join(", ") },
        sessions: (!sessions.is_empty()).then(|| sessions.join("; ")),
        next_steps,
    }
}

/// A JSON value that may be one thing or a list of them, as IAM writes policies.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}
