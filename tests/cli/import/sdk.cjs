// Answers the questions of a test from a dump, with the functions of the SDKs. Prints true or false for each.
//
//     node sdk.cjs propelauth USERS QUESTIONS
//     node sdk.cjs stytch POLICY MEMBERS QUESTIONS
//
// Every file has one JSON value per line. Node finds the packages by NODE_PATH, which only `require` reads.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const lines = (file) => fs.readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

function propelauth(usersFile) {
  const { UserClass, toUser } = require('@propelauth/node');
  const methods = { role: 'isRole', at_least_role: 'isAtLeastRole', permission: 'hasPermission', all_of: 'hasAllPermissions' };
  const users = new Map();
  for (const user of lines(usersFile).flatMap((page) => page.users)) {
    // The dump has what the API calls `org_id_to_org_info`. A token has the same by another name.
    const claims = { ...user, org_id_to_org_member_info: user.org_id_to_org_info };
    users.set(user.user_id, UserClass.fromUser(toUser(claims)));
  }
  return ({ org_id, user_id, ...question }) => {
    const [[kind, argument]] = Object.entries(question);
    return users.get(user_id)[methods[kind]](org_id, argument);
  };
}

function stytch(policyFile, membersFile) {
  // The package exports this function only inside of `B2BClient`, which needs sessions signed by Stytch.
  // A path into the package is not held to its `exports`.
  const { performAuthorizationCheck } = require(path.join(path.dirname(require.resolve('stytch')), 'b2b/rbac_local.js'));
  const [{ policy }] = lines(policyFile);
  const members = new Map(lines(membersFile).flatMap((page) => page.members).map((member) => [member.member_id, member]));
  return ({ org_id, user_id, permission }) => {
    const member = members.get(user_id);
    const [resource_id, action] = permission.split('::');
    try {
      performAuthorizationCheck({
        policyRoles: policy.roles,
        // Every session has `stytch_member`.
        subjectRoles: [...member.roles.map((role) => role.role_id), 'stytch_member'],
        subjectOrgID: member.organization_id,
        authorizationCheck: { organization_id: org_id, resource_id, action },
      });
      return true;
    } catch (error) {
      if (['tenancy_mismatch', 'invalid_permissions'].includes(error.code)) return false;
      throw error;
    }
  };
}

const [product, ...files] = process.argv.slice(2);
const questions = lines(files.pop());
const answer = { propelauth, stytch }[product](...files);
process.stdout.write(questions.map((question) => `${answer(question)}\n`).join(''));
