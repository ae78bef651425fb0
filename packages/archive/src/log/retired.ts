import type { Disk } from './disk.ts';

/**
 * Gives a segment that is about to be replaced a second name in the retired folder, so that nothing of it is destroyed.
 *
 * False where the file system knows no second names; then nothing was done.
 */
export async function keepRetired(disk: Disk, directory: string, path: string): Promise<boolean> {
  await disk.makeDirectory(directory);
  const taken = new Set(await disk.list(directory));
  const [folder, file] = path.split('/').slice(-2);
  let count = 0;
  const nameOf = () => `${folder}-${file?.replace('.seg', '')}-${count}.seg`;
  while (taken.has(nameOf())) count++;
  const isKept = await disk.link(path, `${directory}/${nameOf()}`);
  if (isKept) await disk.syncDirectory(directory);
  return isKept;
}

/** Removes retired segments that were last written before `beforeMs`; returns how many. */
export async function dropRetired(disk: Disk, dir: string, beforeMs: number): Promise<number> {
  let dropped = 0;
  for (const name of await disk.list(`${dir}/retired`)) {
    const facts = await disk.stat(`${dir}/retired/${name}`);
    if (!facts || facts.modifiedAtMs >= beforeMs) continue;
    await disk.remove(`${dir}/retired/${name}`);
    dropped++;
  }
  return dropped;
}
