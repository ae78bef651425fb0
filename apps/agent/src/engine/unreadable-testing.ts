/** Backs up a tree three times as a user to whom modes apply, and prints the number of changed names of each as JSON. */
import { TestDevice } from './testing.ts';

const device = new TestDevice();
try {
  const changed: number[] = [];
  for (let pass = 0; pass < 3; pass++) {
    const { changedNames, problems } = await device.backup(process.argv[2]!, { workers: 1 });
    changed.push(changedNames);
    if (problems.length !== 2) throw new Error(JSON.stringify(problems.map(({ code }) => code)));
  }
  const rows = await device.listing();
  const listing = [...rows].map(([path, { type, mode }]) => [path, type, mode]);
  process.stdout.write(JSON.stringify({ changed, listing }));
} finally {
  device.remove();
}
