-- The quota counts what the newest live set names and what came after it: what that set lets go is counted once, when it
-- is complete, and remembered.

-- The number of the live set and the bytes of the records it lets go; null before the first complete one.
alter table archives add column let_go jsonb;
grant update (let_go) on archives to hf_storage;
