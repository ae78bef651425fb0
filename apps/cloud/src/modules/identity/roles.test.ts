import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allRoutes, isOpen, permissions, principalsOf } from '@holdfast/contract';
import fc from 'fast-check';
import { grantsOf, mayGrant, mayOver, narrowGrants } from './grants.ts';
import { devicePermissions, isRoleId, permissionsOf, roles } from './roles.ts';

test('each role differs from every other', () => {
  const sets = Object.keys(roles).map((roleId) => [...permissionsOf(roleId)].toSorted().join(' '));
  assert.equal(new Set(sets).size, sets.length);
});

test('every permission is held by a role or by devices, so every route can be used by somebody', () => {
  const held = new Set([...Object.keys(roles).flatMap((roleId) => [...permissionsOf(roleId)]), ...devicePermissions]);
  assert.deepEqual(
    permissions.filter((permission) => !held.has(permission)),
    [],
  );
  for (const { name, route } of allRoutes) {
    if (isOpen(route.permission)) continue;
    const isForDevices = principalsOf(route).includes('device');
    assert.equal(isForDevices, devicePermissions.has(route.permission), name);
  }
});

test('no role holds what only devices may do, and one without web restore cannot restore in a browser', () => {
  for (const roleId of Object.keys(roles))
    assert.ok(![...devicePermissions].some((permission) => permissionsOf(roleId).has(permission)), roleId);
  assert.ok(permissionsOf('desktop-user').has('restore.web'));
  assert.ok(!permissionsOf('desktop-user-no-web-restore').has('restore.web'));
});

test('text that is no role holds nothing and can be given by nobody', () => {
  const all = grantsOf([{ orgId: 'root', roleId: 'customer-cloud-admin' }]);
  for (const text of ['', 'toString', '__proto__', 'constructor', 'Org-Admin']) {
    assert.equal(isRoleId(text), false);
    assert.equal(permissionsOf(text).size, 0);
    assert.equal(mayGrant(all, text, ['root']), false);
  }
  for (const roleId of Object.keys(roles)) assert.equal(mayGrant(all, roleId, ['root', 'below']), true, roleId);
});

/** A tree of orgs as paths: each is below an earlier one. */
const anyTree = fc.array(fc.nat(), { minLength: 1, maxLength: 12 }).map((parents) => {
  const paths: string[][] = [];
  for (const [index, parent] of parents.entries())
    paths.push([...(index === 0 ? [] : paths[parent % index]!), `org-${index}`]);
  return paths;
});
const anyAssignments = fc.array(
  fc.record({ org: fc.nat({ max: 11 }), roleId: fc.constantFrom(...Object.keys(roles), 'no-role') }),
  { maxLength: 5 },
);

test('a permission reaches exactly the orgs at and below those where a role with it is held', () => {
  fc.assert(
    fc.property(anyTree, anyAssignments, fc.constantFrom(...permissions), (paths, held, permission) => {
      const grants = grantsOf(held.map(({ org, roleId }) => ({ orgId: `org-${org}`, roleId })));
      for (const path of paths) {
        const expected = held.some(
          ({ org, roleId }) =>
            path.includes(`org-${org}`) && isRoleId(roleId) && roles[roleId].permissions.includes(permission as never),
        );
        assert.equal(mayOver(grants, permission, path), expected);
      }
    }),
  );
});

test('whoever may give a role holds each of its permissions there, and scopes only ever take away', () => {
  fc.assert(
    fc.property(anyTree, anyAssignments, fc.subarray([...permissions]), (paths, held, scopes) => {
      const grants = grantsOf(held.map(({ org, roleId }) => ({ orgId: `org-${org}`, roleId })));
      const narrow = narrowGrants(grants, new Set(scopes));
      for (const path of paths) {
        for (const roleId of Object.keys(roles)) {
          const holdsAll = [...permissionsOf(roleId)].every((permission) => mayOver(grants, permission, path));
          assert.equal(mayGrant(grants, roleId, path), holdsAll);
        }
        for (const permission of permissions) {
          const expected = scopes.includes(permission) && mayOver(grants, permission, path);
          assert.equal(mayOver(narrow, permission, path), expected);
        }
      }
    }),
  );
});
