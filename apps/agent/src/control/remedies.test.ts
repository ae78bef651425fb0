import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indexErrors, logErrors } from '@holdfast/archive';
import { declaredErrors } from '@holdfast/base';
import { storageErrors } from '@holdfast/contract';
import { startEnrolledAgent } from '../cloud/index.ts';
import { destinationErrors } from '../destinations/errors.ts';
import { fileErrors } from '../filesystem/errors.ts';
import { remedyOf } from './remedies.ts';

/** Nouns of which a destination or a backup can show any failure. */
const shown =
  'archive auth backup certificate cloud_link destinations devices key_log log protection proxy request sdk state storage';
/** Nouns of failures of something else: one entry, one request, one key, one restore. */
const notShown =
  'agent_takeover api_clients archive_password branches browse canonical_json control custom_key enrollment escrow escrow_keys files head_file hpke key_file key_log_leaf key_release key_witness keys ' +
  'note orgs policies recovery_code release releases restore seal sessions sets slot takeover takeover_proof time users zstd';

/** Of the nouns above, what neither shows, and why. */
const elsewhere: Readonly<Record<string, string>> = {
  'backup.volume_gone backup.file_replaced backup.folder_replaced': 'said of one entry, which is looked at again',
  'state.in_use': 'said where the agent is started',
  'protection.stopping': 'said to who waits for a backup',
  'cloud_link.token_invalid cloud_link.other_address cloud_link.ca_unreachable cloud_link.ca_mismatch': 'of enrolling',
  'cloud_link.log_key_mismatch cloud_link.escrow_keys_mismatch cloud_link.already_enrolled cloud_link.not_enrolled':
    'of enrolling',
  'destinations.not_found destinations.known destinations.not_a_folder destinations.only_of_set': 'of a command',
  'destinations.too_many destinations.only_copy destinations.is_state destinations.covers_set': 'of a command',
  'auth.use_nonce auth.expired': 'asked again at once with what was missing',
  'auth.missing auth.wrong_kind auth.missing_permission request.cross_site': 'said to people and API clients',
  'devices.not_found': 'said to people and API clients',
};

const declared = [...declaredErrors().values()].filter(({ code }) => !code.startsWith('example.'));
const nounOf = (code: string) => code.split('.')[0]!;
const isShown = (code: string) =>
  shown.split(' ').includes(nounOf(code)) && !Object.keys(elsewhere).some((codes) => codes.split(' ').includes(code));

test('whatever is declared, and a destination or a backup can show, says what to do', () => {
  assert.equal(typeof startEnrolledAgent, 'function', 'all of the agent is loaded');
  const nouns = new Set(declared.map(({ code }) => nounOf(code)));
  assert.deepEqual([...nouns].toSorted(), `${shown} ${notShown}`.split(' ').toSorted(), 'each noun is on one list');
  const known = new Set(declared.map(({ code }) => code));
  for (const code of Object.keys(elsewhere).flatMap((codes) => codes.split(' '))) assert.ok(known.has(code), code);
  const silent = declared.filter((error) => isShown(error.code) && remedyOf(error) === undefined);
  assert.deepEqual(
    silent.map(({ code }) => code),
    [],
    'these need a line in remedies.ts',
  );
});

test('the remedy is that of the cause', () => {
  for (const make of [logErrors.disk_full, fileErrors.disk_full, indexErrors.disk_full, storageErrors.full])
    assert.match(remedyOf(make())!, /^make room on /, make.code);
  const gone = [destinationErrors.away.code, logErrors.moved.code];
  // Nothing but what is away is mended by connecting it.
  const connected = declared.filter((error) => remedyOf(error)?.startsWith('connect it'));
  assert.deepEqual(connected.map(({ code }) => code).toSorted(), gone);
});

test('what an error says itself goes before what its code says', () => {
  assert.equal(remedyOf(destinationErrors.branched({ remedy: 'do this' })), 'do this');
  assert.equal(remedyOf(fileErrors.exists()), undefined);
});
