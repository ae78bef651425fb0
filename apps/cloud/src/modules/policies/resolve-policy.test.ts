import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackupSet, PolicySettings, type OrgPolicy } from '@holdfast/contract';
import fc from 'fast-check';
import { defaultBackupSet, defaultSettings, lockedAbove, policyFields, resolvePolicy } from './resolve-policy.ts';

const own = (settings: OrgPolicy['settings'], locked: OrgPolicy['locked'] = []): OrgPolicy => ({ settings, locked });
const path = (...policies: OrgPolicy[]) => policies.map((policy, depth) => ({ orgId: `org-${depth}`, own: policy }));

test('the defaults are what the contract accepts, and every exclusion has a reason', () => {
  assert.deepEqual(PolicySettings.parse(defaultSettings), defaultSettings);
  assert.deepEqual(BackupSet.parse(defaultBackupSet), defaultBackupSet);
  assert.ok(defaultBackupSet.excludes.every(({ reason }) => reason.length > 5));
  for (const kept of ['.git', '.sqlite', '.db', '.env', '/.'])
    assert.ok(!defaultBackupSet.excludes.some(({ pattern }) => pattern.endsWith(kept)), kept);
});

test('without a decision the defaults are in force and nobody is their source', () => {
  const resolved = resolvePolicy(path(own({}), own({})));
  assert.deepEqual(resolved.settings, defaultSettings);
  assert.ok(Object.values(resolved.sources).every((source) => source === null));
});

test('the nearest org decides each field for itself', () => {
  const resolved = resolvePolicy(
    path(own({ coldStorageDays: 30, archiveQuotaBytes: 1 }), own({ coldStorageDays: 60 }), own({ escrow: 'off' })),
  );
  assert.equal(resolved.settings.coldStorageDays, 60);
  assert.equal(resolved.settings.archiveQuotaBytes, 1);
  assert.equal(resolved.settings.escrow, 'off');
  assert.equal(resolved.sources.coldStorageDays, 'org-1');
  assert.equal(resolved.sources.archiveQuotaBytes, 'org-0');
});

test('what an org locks, no org below changes, a default included', () => {
  const locking = path(own({ coldStorageDays: 30 }, ['coldStorageDays', 'escrow']), own({ coldStorageDays: 1 }));
  assert.equal(resolvePolicy(locking).settings.coldStorageDays, 30);
  const below = path(...locking.map((org) => org.own), own({ escrow: 'off', archiveQuotaBytes: 5 }));
  assert.equal(resolvePolicy(below).settings.escrow, 'required');
  assert.equal(resolvePolicy(below).settings.archiveQuotaBytes, 5);
  assert.deepEqual(lockedAbove(locking, own({ escrow: 'off', archiveQuotaBytes: 5 })), ['escrow']);
  assert.deepEqual(lockedAbove(locking, own({ archiveQuotaBytes: 5 })), []);
});

const anyPolicy = fc.record({
  settings: fc.record(
    {
      escrow: fc.constantFrom('required', 'off'),
      coldStorageDays: fc.integer({ min: 0, max: 3650 }),
      archiveQuotaBytes: fc.option(fc.nat()),
      uploadLimitBitsPerSecond: fc.option(fc.integer({ min: 64_000 })),
      backupSets: fc.constantFrom([], [defaultBackupSet]),
    },
    { requiredKeys: [] },
  ),
  locked: fc.uniqueArray(fc.constantFrom(...policyFields)),
}) as fc.Arbitrary<OrgPolicy>;

test('each field is the first locked one from above, else the last one set, whatever the tree', () => {
  fc.assert(
    fc.property(fc.array(anyPolicy, { maxLength: 6 }), (policies) => {
      const resolved = resolvePolicy(path(...policies));
      for (const field of policyFields) {
        const lockedAt = policies.findIndex(({ locked }) => locked.includes(field));
        const inForce = lockedAt < 0 ? policies : policies.slice(0, lockedAt + 1);
        const decided = inForce.findLast(({ settings }) => settings[field] !== undefined)?.settings[field];
        assert.deepEqual(resolved.settings[field], decided === undefined ? defaultSettings[field] : decided);
        assert.equal(resolved.locked.includes(field), lockedAt >= 0);
      }
    }),
  );
});
