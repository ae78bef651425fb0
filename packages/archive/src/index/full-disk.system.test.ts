import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CodedError } from '@holdfast/base';
import { RestoreJournal } from '../restore/restore-journal.ts';
import { RestorePlan } from '../restore/restore-plan.ts';
import { IndexDatabase } from './index-database.ts';

const skip = process.getuid?.() !== 0 && 'needs root';

/** A file system of 4 MiB, and its filling up. */
function smallDisk(t: { after(work: () => void): void }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast small disk '));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder]);
  t.after(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });
  const filling = path.join(folder, 'filling');
  const fill = () => {
    for (const bytes of [65_536, 4096]) {
      for (let number = 0; ; number++) {
        mkdirSync(filling, { recursive: true });
        try {
          writeFileSync(path.join(filling, `${bytes} ${number}`), new Uint8Array(bytes));
        } catch {
          break;
        }
      }
    }
  };
  return { folder, fill, empty: () => rmSync(filling, { recursive: true }) };
}

function isDiskFull(error: unknown): boolean {
  assert.ok(error instanceof CodedError, String(error));
  assert.equal(error.code, 'state.disk_full');
  assert.equal(error.kind, 'exhausted');
  assert.match(String(error.details['remedy']), /make room/);
  assert.ok(error.cause);
  return true;
}

test(
  'an index on a full disk says that there is no room, keeps what it had, and goes on once there is',
  { skip },
  (t) => {
    const disk = smallDisk(t);
    const file = path.join(disk.folder, 'index.db');
    const { database } = IndexDatabase.open(file);
    t.after(() => database.close());
    const putMuch = (from: number) => {
      for (let number = from; number < from + 100; number++) database.set(`key ${number}`, new Uint8Array(20_000));
    };
    database.transact(() => database.set('before', 1));
    disk.fill();
    assert.throws(() => database.transact(() => putMuch(0)), isDiskFull);
    assert.throws(() => putMuch(0), isDiskFull);
    assert.equal(database.getNumber('before'), 1);
    assert.equal(existsSync(`${file}.room`), false);
    disk.empty();
    database.transact(() => database.set('after', 2));
    assert.equal(database.getNumber('after'), 2);
  },
);

test('an error of the work of a transaction is the one that is thrown, and nothing of the work stays', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'holdfast transaction '));
  const { database } = IndexDatabase.open(path.join(folder, 'index.db'));
  t.after(() => {
    database.close();
    rmSync(folder, { recursive: true });
  });
  const fault = new Error('a fault of the work');
  const work = () => {
    database.set('half', 1);
    throw fault;
  };
  assert.throws(() => database.transact(work), fault);
  assert.equal(database.getNumber('half'), undefined);
});

test('the journal of a restore on a full disk says so, and goes on where it was once there is room', { skip }, (t) => {
  const disk = smallDisk(t);
  const { plan } = RestorePlan.open(path.join(disk.folder, 'plan.db'), 'a restore');
  t.after(() => plan.close());
  plan.complete();
  const journal = new RestoreJournal(plan);
  journal.begin();
  const insert = plan.database.prepare(
    "insert into directories (parent, name, row, xattrs, depth, state, message) values (0, ?, x'', x'', 1, 4, ?)",
  );
  plan.database.exec('begin');
  for (let number = 0; number < 2000; number++) insert.run(Buffer.from(`folder ${number}`), 'm'.repeat(300));
  plan.database.exec('commit; pragma wal_checkpoint(truncate)');
  disk.fill();
  assert.throws(() => journal.begin(), isDiskFull);
  assert.equal(journal.directoriesToMake(1, 0, 1).length, 0);
  disk.empty();
  assert.equal(journal.begin(), true);
  assert.equal(journal.directoriesToMake(1, 0, 5000).length, 2000);
});
