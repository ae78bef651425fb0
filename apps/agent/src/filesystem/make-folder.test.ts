import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeFolder } from './make-folder.ts';

test('a folder is made with those above it, and refused where none can be', (t) => {
  const place = mkdtempSync(path.join(tmpdir(), 'holdfast folders '));
  t.after(() => rmSync(place, { recursive: true, force: true }));
  const [file, dangling, link] = ['file', 'dangling', 'link'].map((name) => path.join(place, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, '');
  symlinkSync(path.join(place, 'nowhere'), dangling);
  symlinkSync(place, link);
  for (const folder of [path.join(place, 'a/b/c'), path.join(place, 'a'), place, '/', path.join(link, 'd')]) {
    makeFolder(folder, 0o700);
    makeFolder(folder, 0o700);
    assert.ok(statSync(folder).isDirectory());
  }
  assert.equal(statSync(path.join(place, 'a')).mode & 0o777, 0o700);
  const refused = [
    [file, 'EEXIST'],
    [path.join(file, 'a'), 'EEXIST'],
    [dangling, 'ENOENT'],
    ['/proc/nowhere/a', 'ENOENT'],
    [path.join(place, 'x'.repeat(300)), 'ENAMETOOLONG'],
  ] as const;
  for (const [folder, code] of refused) assert.throws(() => makeFolder(folder, 0o700), { code }, folder);
});
