create index if not exists "task_executions_by_task" on "task_executions" (task_id, start_at) where status = 'ready';
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (2, 'index_by_task', cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint), '0.2.0')
  on conflict do nothing;
