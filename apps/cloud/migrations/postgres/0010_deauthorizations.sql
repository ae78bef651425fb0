-- What proves to a device that it was deauthorised.

alter table devices
  -- A note signed with the key of the tenant's log when its state changed; every refusal shows it to the device.
  -- Null while it may act, and for devices that ended before there were statements.
  add column deauthorization text check (deauthorization is null or state <> 'active');
