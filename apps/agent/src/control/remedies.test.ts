import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backupErrors, indexErrors, logErrors } from '@holdfast/archive';
import { storageErrors } from '@holdfast/contract';
import { sdkErrors } from '@holdfast/sdk';
import { cloudErrors } from '../cloud/errors.ts';
import { proxyErrors } from '../cloud/https-fetch.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { fileErrors } from '../filesystem/errors.ts';
import { remedyOf } from './remedies.ts';

const full = [logErrors.disk_full, fileErrors.disk_full, indexErrors.disk_full, storageErrors.full];
const gone = [destinationErrors.away, logErrors.moved];
const shown = [
  ...full,
  ...gone,
  ...Object.values(proxyErrors),
  ...Object.values(sdkErrors),
  logErrors.locked,
  logErrors.poisoned,
  logErrors.segment_damaged,
  logErrors.record_refused,
  logErrors.other_archive,
  logErrors.not_a_file,
  storageErrors.quota_exceeded,
  storageErrors.unavailable,
  storageErrors.busy,
  storageErrors.session_superseded,
  storageErrors.records_unreadable,
  storageErrors.keyring_refused,
  destinationErrors.moved,
  destinationErrors.interrupted,
  destinationErrors.behind,
  destinationErrors.branched,
  cloudErrors.receipt_invalid,
  cloudErrors.reply_invalid,
  cloudErrors.session_ended,
  backupErrors.no_destination,
  backupErrors.nowhere_to_go,
  backupErrors.record_lost,
  backupErrors.worker_died,
];

test('each failure that a destination or a backup can show says what to do, by its cause', () => {
  for (const make of shown) assert.ok(remedyOf(make()), make.code);
  for (const make of full) assert.match(remedyOf(make())!, /^make room on /, make.code);
  for (const make of gone) assert.match(remedyOf(make())!, /^connect it/, make.code);
  // Nothing but what is away is mended by connecting it.
  const connected = shown.filter((make) => remedyOf(make())!.startsWith('connect it')).map(({ code }) => code);
  assert.deepEqual(
    connected,
    gone.map(({ code }) => code),
  );
});

test('what an error says itself goes before what its code says', () => {
  assert.equal(remedyOf(destinationErrors.branched({ remedy: 'do this' })), 'do this');
  assert.equal(remedyOf(fileErrors.exists()), undefined);
});
