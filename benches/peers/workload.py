"""Writes a workload as files for `rolecall bench --workload`: orgs of 100 members, 10 roles, 200 permissions and 4 role
mappings. Checks ask about random members. The same seed always gives the same files."""

import random
import uuid

SEED = 42
ORG_MEMBERS = 100
MAPPINGS = ["free", "pro", "enterprise", "internal"]
VERBS = ["Create", "Read", "Update", "Delete", "List", "Export", "Import", "Share", "Approve", "Reject",
         "Archive", "Restore", "Invite", "Remove", "Configure", "Publish", "Comment", "Audit", "Assign", "Bill"]
PERMISSIONS = [f"Product{product}::Can{verb}" for product in "ABCDEFGHIJ" for verb in VERBS]
# The share of the permissions that a role has, and how much of it a role mapping grants.
ROLES = {"owner": .95, "admin": .85, "member": .35, "custom_1": .7, "custom_2": .6, "custom_3": .6,
         "custom_4": .5, "custom_5": .5, "custom_6": .5, "custom_7": .5}
TIERS = {"free": .75, "pro": .95, "enterprise": 1.15, "internal": 1.05}
DISABLED = {("free", "custom_5"), ("free", "custom_6"), ("pro", "custom_7"), ("internal", "custom_4")}


class Workload:
    def __init__(self, memberships, checks):
        chance = random.Random(SEED)
        self.grants = {
            (mapping, role): frozenset(chance.sample(PERMISSIONS, int(200 * min(1, share * TIERS[mapping]))))
            for mapping in MAPPINGS for role, share in ROLES.items()
        }
        user = lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4))
        roles = list(ROLES)
        self.orgs = [(user(), chance.choice(MAPPINGS)) for _ in range(memberships // ORG_MEMBERS)]
        self.members = [(org, user(), chance.choice(roles), mapping)
                        for org, mapping in self.orgs for _ in range(ORG_MEMBERS)]
        # Org, user, role, role mapping, permission.
        self.checks = [(*chance.choice(self.members), chance.choice(PERMISSIONS)) for _ in range(checks)]

    def allows(self, mapping, role, permission):
        return (mapping, role) not in DISABLED and permission in self.grants[mapping, role]

    def write(self, folder):
        def lines(name, rows):
            with open(folder / name, "w") as file:
                file.writelines("\t".join(row) + "\n" for row in rows)

        bit = lambda truth: str(int(truth))
        lines("mapping.tsv", ((mapping, role, bit((mapping, role) in DISABLED), ",".join(sorted(granted)))
                              for (mapping, role), granted in self.grants.items()))
        lines("orgs.tsv", self.orgs)
        lines("members.tsv", (member[:3] for member in self.members))
        lines("checks.tsv", ((org, user, role, mapping, permission, bit(self.allows(mapping, role, permission)))
                             for org, user, role, mapping, permission in self.checks))
