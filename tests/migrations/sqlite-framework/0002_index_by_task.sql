create index if not exists "ix_task_executions_status_task_id_start_at" on "task_executions" (status, task_id, start_at);
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (2, 'index_by_task', cast((julianday('now') - 2440587.5) * 86400000 as integer), '0.2.0')
  on conflict do nothing;
