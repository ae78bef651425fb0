import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keystoreErrors } from '../../keystore/errors.ts';
import { remoteErrors } from '../../platform/kms-remote.ts';
import { kmsErrors } from '../../platform/kms.ts';
import { passphraseErrors } from '../../platform/master-key-file.ts';
import { isPassing } from './follow-keystore.ts';

test('that keys do not open just now settles no release, and a judgement of the keystore does', () => {
  const operators = [...Object.values(kmsErrors), ...Object.values(remoteErrors), ...Object.values(passphraseErrors)];
  for (const make of operators) assert.ok(isPassing(make()), make().code);
  const later = [
    'away',
    'busy',
    'fault',
    'not_followed',
    'older_head',
    'forked_log',
    'young_key',
    'young_approver',
  ] as const;
  for (const name of later) assert.ok(isPassing(keystoreErrors[name]()), name);
  const judged = [
    'used',
    'expired',
    'self_approval',
    'purpose_refused',
    'no_epoch',
    'forged_owner',
    'ended_key',
  ] as const;
  for (const name of judged) assert.ok(!isPassing(keystoreErrors[name]()), name);
});
