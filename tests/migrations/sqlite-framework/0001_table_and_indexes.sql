create table if not exists "task_executions" (
  id integer primary key autoincrement not null,
  root_task_id text,
  root_execution_id text,
  parent_task_id text,
  parent_execution_id text,
  index_in_parent_children integer,
  is_only_child_of_parent integer,
  is_finalize_of_parent integer,
  task_id text not null,
  execution_id text not null,
  is_sleeping_task integer not null,
  sleeping_task_unique_id text,
  retry_options text not null,
  sleep_ms_before_run integer not null,
  timeout_ms integer not null,
  are_children_sequential integer not null,
  input text not null,
  executor_id text,
  status text not null,
  is_finished integer not null,
  run_output text,
  output text,
  error text,
  retry_attempts integer not null,
  start_at integer not null,
  started_at integer,
  expires_at integer,
  waiting_for_children_started_at integer,
  waiting_for_finalize_started_at integer,
  finished_at integer,
  children text,
  active_children_count integer not null,
  on_children_finished_processing_status text not null,
  on_children_finished_processing_expires_at integer,
  on_children_finished_processing_finished_at integer,
  finalize text,
  close_status text not null,
  close_expires_at integer,
  closed_at integer,
  needs_promise_cancellation integer not null,
  created_at integer not null,
  updated_at integer not null
);
create unique index if not exists "ix_task_executions_execution_id" on "task_executions" (execution_id);
create unique index if not exists "ix_task_executions_sleeping_task_unique_id" on "task_executions" (sleeping_task_unique_id);
create index if not exists "ix_task_executions_status_start_at" on "task_executions" (status, start_at);
create index if not exists "ix_task_executions_status_ocfp_status_acc_updated_at" on "task_executions" (status, on_children_finished_processing_status, active_children_count, updated_at);
create index if not exists "ix_task_executions_close_status_updated_at" on "task_executions" (close_status, updated_at);
create index if not exists "ix_task_executions_status_is_sleeping_task_expires_at" on "task_executions" (status, is_sleeping_task, expires_at);
create index if not exists "ix_task_executions_on_ocfp_expires_at" on "task_executions" (on_children_finished_processing_expires_at);
create index if not exists "ix_task_executions_close_expires_at" on "task_executions" (close_expires_at);
create index if not exists "ix_task_executions_executor_id_npc_updated_at" on "task_executions" (executor_id, needs_promise_cancellation, updated_at);
create index if not exists "ix_task_executions_parent_execution_id_is_finished" on "task_executions" (parent_execution_id, is_finished);
create index if not exists "ix_task_executions_is_finished_close_status_updated_at" on "task_executions" (is_finished, close_status, updated_at);
create table if not exists "task_executions_migrations" (
  number integer primary key,
  name text not null,
  applied_at bigint not null,
  version text not null
);
insert into "task_executions_migrations" (number, name, applied_at, version)
  values (1, 'table_and_indexes', cast((julianday('now') - 2440587.5) * 86400000 as integer), '0.1.0')
  on conflict do nothing;
