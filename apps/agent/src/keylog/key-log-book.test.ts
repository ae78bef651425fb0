import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { outlineHash } from '@holdfast/trust';
import { at, codeOf, genuine, leaf, origin, Scene } from './key-log-scene.fixture.ts';

test('what is known outlives the process, and is set aside for another log', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  const { file, seen } = scene.reopen();
  assert.deepEqual(seen, [5, 5, 1]);
  const again = scene.reopen();
  assert.deepEqual(again.seen, [5, 5, 1]);
  const other = scene.reopen({ ...scene.book.pinned, origin: 'holdfast/other/tenant/keys' });
  assert.deepEqual(other.seen, [undefined, 0, 0]);
  assert.deepEqual(other.book.faults(), []);
  assert.deepEqual(readdirSync(path.dirname(file)).toSorted(), ['key-log.db', 'key-log.db.aside-1']);
  rmSync(file);
  renameSync(`${file}.aside-1`, file);
  assert.deepEqual(scene.reopen({ ...scene.book.pinned, origin }).seen, [5, 5, 1], 'what it proves is there');
});

for (const [what, harm] of Object.entries({
  'is no database': (file: string) => writeFileSync(file, 'garbage '.repeat(1_000)),
  'has a page of nothing': (file: string) => {
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0, 4_096, 8_192));
  },
}))
  test(`a book that ${what} is set aside and begun anew, which is said; a sound one stays`, async (t) => {
    const scene = await Scene.start(t);
    const entries = genuine();
    await scene.follow({ entries });
    assert.deepEqual(scene.reopen().seen, [5, 5, 1]);
    scene.book.close();
    harm(scene.file);
    const { book, seen } = scene.reopen();
    assert.deepEqual(seen, [undefined, 0, 0]);
    assert.deepEqual(
      book.faults().map(({ code, details }) => [code, details['file']]),
      [['key_log.book_damaged', 'key-log.db.aside-1']],
    );
    assert.equal(await codeOf(scene.follow({ entries })), 'grown');
  });

test('each head that was wrong is kept as evidence, up to twenty of a kind; what comes after is counted', async (t) => {
  const scene = await Scene.start(t);
  const seen = genuine();
  await scene.follow({ entries: seen });
  const fork = () => ({ entries: [leaf(), ...seen.slice(1), leaf()] });
  for (let count = 0; count < 22; count++) {
    scene.nowMs += 1_000;
    const followed = await scene.follow(fork());
    assert.equal(followed.status === 'fault' && followed.isFirst, count < 20, `${count}`);
  }
  const [forked] = scene.book.faults();
  assert.deepEqual([forked?.code, forked?.count], ['key_log.forked', 22]);
  assert.deepEqual([forked?.atMs, forked?.lastAtMs], [Date.parse(at) + 1_000, Date.parse(at) + 22_000]);
  await scene.follow({ entries: [...seen, leaf()], signed: [...seen, leaf()] });
  const kept = [...scene.book.evidence()];
  assert.deepEqual([kept.length, new Set(kept.map(({ note }) => note)).size], [21, 21]);
  const codes = scene.book.faults().map(({ code }) => code);
  assert.deepEqual(codes, ['key_log.forked', 'key_log.leaf_altered'], 'no fault hides another');
});

test('with a fault the head before it, the proof and the leaves are kept that were shown', async (t) => {
  const scene = await Scene.start(t);
  const seen = genuine();
  await scene.follow({ entries: seen });
  await scene.follow({ entries: [leaf(), ...seen.slice(1), leaf()] });
  await scene.follow({ entries: [...seen, leaf()], signed: [...seen, leaf()] });
  const kept = [...scene.book.evidence()];
  const of = (code: string) => kept.find((one) => one.code === code) ?? assert.fail(code);
  assert.ok(of('key_log.forked').proof.length > 0, 'the proof that proved nothing');
  const { hashesFrom, hashes, knownNote } = of('key_log.leaf_altered');
  const shown = scene.shown.entries.slice(seen.length).map(({ outline }) => outlineHash(outline));
  assert.deepEqual([hashesFrom, Buffer.compare(hashes, Buffer.concat(shown))], [5, 0]);
  assert.equal(knownNote, scene.book.head()?.note);
});

/** Damage that SQLite does not see, to a book that knows five leaves. */
const valueDamage: Readonly<Record<string, string>> = {
  'a value that is none': `update facts set value = '{' where key = 'head'`,
  'another value': `update facts set value = replace(value, '"size":5', '"size":4') where key = 'head'`,
  'the name of another log': `update facts set value = '"x"' where key = 'log'`,
};

for (const [what, statement] of Object.entries(valueDamage))
  for (const when of ['while it is closed', 'while it is open'])
    test(`a book that came to have ${what} ${when} is set aside and begun anew, which is said`, async (t) => {
      const scene = await Scene.start(t);
      const entries = genuine();
      await scene.follow({ entries });
      if (when === 'while it is closed') scene.book.close();
      const db = new DatabaseSync(scene.file);
      db.exec(statement);
      db.close();
      const { seen, book } =
        when === 'while it is closed' || what === 'the name of another log'
          ? scene.reopen()
          : { book: scene.book, seen: [scene.book.head()?.tree.size, 0, 0] };
      assert.deepEqual(seen, [undefined, 0, 0]);
      assert.deepEqual(
        book.faults().map(({ code, details }) => [code, details['file']]),
        [['key_log.book_damaged', 'key-log.db.aside-1']],
      );
      assert.equal(await codeOf(scene.follow({ entries })), 'grown');
    });

test('damage to the hashes of leaves is said of the book, and not of the server', async (t) => {
  const scene = await Scene.start(t);
  const entries = genuine();
  await scene.follow({ entries });
  await scene.follow({ entries: [...entries, leaf()] });
  const db = new DatabaseSync(scene.file);
  db.exec(`update hashes set hashes = zeroblob(length(hashes)) where first = 0`);
  db.close();
  assert.equal(await codeOf(scene.follow({ entries: entries.slice(0, 3) })), 'key_log.book_damaged');
  assert.equal(await codeOf(scene.follow({ entries })), 'grown');
  assert.equal(await codeOf(scene.follow({ entries: entries.slice(0, 3) })), 'key_log.shrunk');
  assert.deepEqual(
    scene.book.faults().map(({ code }) => code),
    ['key_log.book_damaged', 'key_log.shrunk'],
  );
});
