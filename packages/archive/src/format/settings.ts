import { defineFields, FieldReader, FieldWriter } from './fields.ts';
import { settingsKey } from './map-key.ts';
import type { MapEntry } from './tree-node.ts';

/** A backup set as the archive keeps it. */
export type SetSetting = {
  readonly name: string;
  /** JSON text. */
  readonly definition: string;
  /** Names of the destinations that have all of its blocks; every one where left out. */
  readonly destinations?: readonly string[];
};

const setFields = defineFields('set', { 1: 'may', 2: 'may', 3: 'may repeated' });

/** The entry that says what a backup set is. */
export function setSetting(number: number, { name, definition, destinations }: SetSetting): MapEntry {
  const fields = new FieldWriter(setFields).text(1, name).text(2, definition);
  // An empty name stands for none.
  for (const destination of destinations?.length === 0 ? [''] : (destinations ?? [])) fields.text(3, destination);
  return { key: settingsKey(`set/${number}`), value: fields.finish() };
}

/** Reads the value of a `set/<number>`. @throws archive.corrupt, archive.unknown_field */
export function parseSetSetting(value: Uint8Array): SetSetting {
  const fields = new FieldReader(value, setFields);
  let [name, definition] = ['', ''];
  let destinations: string[] | undefined;
  while (fields.next()) {
    if (fields.tag === 1) name = fields.text();
    else if (fields.tag === 2) definition = fields.text();
    else (destinations ??= []).push(fields.text());
  }
  const named = destinations?.filter((destination) => destination !== '');
  return { name, definition, ...(named && { destinations: named }) };
}
