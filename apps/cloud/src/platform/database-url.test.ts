import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseAddressOf, databaseTargetOf } from './database-url.ts';

test('the address that the keystore is told leads to the same database, and has nothing secret in it', () => {
  const secret = 's3cret';
  const urls = [
    'postgresql://localhost/holdfast',
    `postgresql://user:${secret}@db.example:6432/other?sslmode=require`,
    `postgresql://db.example/holdfast?user=x&password=${secret}&sslpassword=${secret}&sslkey=${secret}&passfile=${secret}`,
    `postgresql:///holdfast?host=/run/a%20folder&sslpassword=${secret}&sslpassword=${secret}&sslmode=disable`,
    `postgresql://[::1]:5433/holdfast?options=-c%20x=${secret}&service=${secret}`,
  ];
  for (const url of urls) {
    const address = databaseAddressOf(url);
    assert.ok(!address.includes(secret), address);
    assert.deepEqual(databaseTargetOf(address), databaseTargetOf(url));
  }
});
