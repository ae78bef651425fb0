import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { systemClock, systemRandom } from '@holdfast/base';
import { DeviceArchive } from '../archive/device-archive.ts';
import { temporaryFolder } from '../filesystem/temporary-folder.ts';
import { TakeoverStore } from './pending-takeover.ts';

const wanted = { deviceUid: 'new', device: 'laptop' };
const proof = { text: 'as it was signed', signature: 'by whom it was' };

test('a computer makes no archive of its own while the server may have given it another one', (t) => {
  const stateDir = temporaryFolder(t);
  const store = new TakeoverStore(stateDir);
  const pending = { ...store.begin(wanted, systemRandom), proof };
  store.save({ ...pending, mayBeDone: true });
  const open = () => DeviceArchive.open(stateDir, { clock: systemClock, random: systemRandom });
  assert.throws(open, { code: 'agent_takeover.unsettled' });
  assert.equal(existsSync(path.join(stateDir, 'keys.json')), false);
  // Looked at and not confirmed: nothing has changed for anybody.
  store.save(pending);
  open().close();
  // It has keys: of the archive that was taken over, where it was killed before it forgot how.
  store.save({ ...pending, mayBeDone: true });
  open().close();
});

test('what may be done is not begun anew for another computer, until it is settled or the enrolment is another one', (t) => {
  const store = new TakeoverStore(temporaryFolder(t));
  const pending = { ...store.begin(wanted, systemRandom), proof };
  const done = { ...pending, mayBeDone: true } as const;
  store.save(done);
  assert.throws(() => store.begin({ ...wanted, device: 'desktop' }, systemRandom), {
    code: 'agent_takeover.unsettled',
  });
  assert.deepEqual(store.load(), done);
  assert.deepEqual(store.begin(wanted, systemRandom), done);
  const { signingSeed } = store.begin({ ...wanted, deviceUid: 'newer' }, systemRandom);
  assert.notEqual(signingSeed, done.signingSeed);
  store.save(pending);
  assert.equal(store.begin({ ...wanted, device: 'desktop' }, systemRandom).device, 'desktop');
});
